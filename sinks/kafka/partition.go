package kafka

import kafkago "github.com/segmentio/kafka-go"

// partitioner finds the partition of a key as Java's client does (Murmur2), over a fixed number of partitions.
type partitioner struct {
	balancer   kafkago.Murmur2Balancer
	partitions []int
}

func newPartitioner(count int) partitioner {
	p := partitioner{balancer: kafkago.Murmur2Balancer{Consistent: true}, partitions: make([]int, count)}
	for i := range p.partitions {
		p.partitions[i] = i
	}
	return p
}

func (p partitioner) of(key []byte) int32 {
	return int32(p.balancer.Balance(kafkago.Message{Key: key}, p.partitions...))
}
