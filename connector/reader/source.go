package reader

import (
	"context"
	"errors"
	"fmt"

	"github.com/twochat-connector/twochat-connector/connector"
)

// source asks for the pages of a stream's list.
type source struct {
	pages  connector.Pages
	retry  RetryPolicy
	turn   func(context.Context, Turn) error // nil: at once
	stream connector.Stream
}

// read reads one page by itself, again as long as the retry policy says.
func (s *source) read(ctx context.Context, number int, held connector.Fingerprint) (connector.Page, error) {
	return s.readIn(ctx, Turn{Page: number}, held)
}

// readIn is read for a page of a batch.
func (s *source) readIn(ctx context.Context, turn Turn, held connector.Fingerprint) (connector.Page, error) {
	for {
		if s.turn != nil {
			if err := s.turn(ctx, turn); err != nil {
				return connector.Page{}, fmt.Errorf("read page: %w", err)
			}
		}
		page, err := s.pages.Page(ctx, s.stream, turn.Page, held)
		if err == nil {
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
