package restore

import (
	"context"

	"golang.org/x/sync/errgroup"

	"gsprobackup/internal/remote"
)

// abreast calls do for each item: one after the other where the host is this
// machine, several at a time where each call takes a round trip.
func abreast[T any](ctx context.Context, host remote.Host, items []T, do func(context.Context, T) error) error {
	n := remote.Workers(host, 1)
	if n == 1 {
		for _, item := range items {
			if err := do(ctx, item); err != nil {
				return err
			}
		}
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(n)
	for _, item := range items {
		g.Go(func() error { return do(ctx, item) })
	}
	return g.Wait()
}
