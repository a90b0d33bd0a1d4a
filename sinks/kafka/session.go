package kafka

import (
	"context"
	"errors"
	"sync"

	kafkago "github.com/segmentio/kafka-go"
)

// session is the state of a log from an Acquire until something is unclear.
type session struct {
	client *client
	id     string          // the transactional id
	life   context.Context // the sink's

	producer   producer // of the next transaction, once epochReady is closed
	epochReady chan struct{}
	epochErr   error // set before epochReady is closed
	stop       context.CancelFunc
	work       sync.WaitGroup
	events     partitioner
	homes      map[string]partitioner // of the other topics
	positions  positions
	wrote      sighting // the checkpoint that was written last: its partition, and its end there
	chunk      int      // most bytes of records in a batch, uncompressed
}

// close ends the session's background work, and waits for it.
func (s *session) close() {
	s.stop()
	s.work.Wait()
}

// nextEpoch returns the producer of the next transaction. Its epoch was raised after the last transaction ended; if
// that failed, it is raised now.
func (s *session) nextEpoch(ctx context.Context) (producer, error) {
	select {
	case <-s.epochReady:
	case <-ctx.Done():
		return noProducer, ctx.Err()
	}
	if s.epochErr != nil {
		if isFenced(s.epochErr) || errors.Is(s.epochErr, kafkago.InvalidProducerIDMapping) {
			return noProducer, s.epochErr
		}
		who, err := s.client.initProducerID(ctx, s.id, s.producer)
		if err != nil {
			return noProducer, err
		}
		s.producer, s.epochErr = who, nil
	}
	return s.producer, nil
}

// prepareEpoch raises the epoch for the next transaction in the background.
func (s *session) prepareEpoch(used producer) {
	ctx, stop := context.WithCancel(s.life)
	s.stop()
	s.stop = stop
	s.producer, s.epochReady, s.epochErr = used, make(chan struct{}), nil
	ready := s.epochReady
	s.work.Go(func() {
		defer close(ready)
		who, err := s.client.initProducerID(ctx, s.id, used)
		if err != nil {
			s.epochErr = err
			return
		}
		s.producer = who
	})
}
