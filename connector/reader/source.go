package reader

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/twochat-connector/twochat-connector/connector"
)

// source reads pages of a stream's list.
type source struct {
	pages  connector.Pages
	retry  RetryPolicy
	admit  func(context.Context, Priority) error // nil: immediately
	stream connector.Stream
	// largest is the size of the largest page so far, in bytes.
	largest atomic.Int64
}

// read reads a single page, and tries again for as long as the retry policy allows.
func (s *source) read(ctx context.Context, number int, held connector.Fingerprint) (connector.Page, error) {
	return s.readIn(ctx, Priority{Page: number}, held)
}

// readIn reads a page of a batch.
func (s *source) readIn(ctx context.Context, priority Priority, held connector.Fingerprint) (connector.Page, error) {
	for {
		if s.admit != nil {
			if err := s.admit(ctx, priority); err != nil {
				return connector.Page{}, fmt.Errorf("read page: %w", err)
			}
		}
		page, err := s.pages.Page(ctx, s.stream, priority.Page, held)
		if err == nil {
			s.largest.Store(max(s.largest.Load(), int64(page.Bytes)))
			return page, nil
		}
		var fault *connector.PageError
		if !errors.As(err, &fault) {
			return connector.Page{}, fmt.Errorf("read page: %w", err)
		}
		if err := s.retry.Page(ctx, fault); err != nil {
			return connector.Page{}, fmt.Errorf("read page: %w", err)
		}
	}
}
