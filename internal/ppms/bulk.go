package ppms

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// each calls do for 0 … n-1, as many at a time as the configuration allows. It calls progress after each, one call at a time,
// with a number that only grows. After the first error the context is cancelled and the rest fail before they send anything:
// do is called even so, for nothing that was not asked may pass for an empty answer.
func (r *Reader) each(ctx context.Context, n int, progress func(done int), do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.concurrency)
	var mu sync.Mutex
	done := 0
	for i := range n {
		group.Go(func() error {
			if err := do(ctx, i); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			if progress != nil {
				progress(done)
			}
			return nil
		})
	}
	return group.Wait()
}
