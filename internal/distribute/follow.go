package distribute

import (
	"context"
	"fmt"
	"iter"
	"time"

	"tocsin"
	"tocsin/internal/store"
	"tocsin/internal/view"
)

// Head returns the last position of a collection, for a reader who wants only
// what is new from now on.
func (f *Feed) Head(who tocsin.Member, community, collection string) (int64, error) {
	c, _, err := f.open(who, community, collection)
	if err != nil {
		return 0, err
	}
	head, _ := f.store.Head(c.ID)
	return head, nil
}

// A News is one step of [Feed.Follow]: objects in order, or none after a quiet
// interval. Position is how far the reader has come: resuming after it misses
// nothing and repeats nothing.
type News struct {
	Objects  []view.Object // withdrawals included
	Position int64
}

// newsPerStep bounds how much one subscriber is given at once. Its queue is a
// position in the order, never a buffer, so a subscriber that does not read
// costs nothing but its connection.
const newsPerStep = 200

// Follow yields what a reader may see after a position, as it comes, until the
// context ends or the reader loses its rights. Rights are looked up anew before
// every step, so what was decided for a reader is never older than the step.
// Every interval without news yields an empty step.
func (f *Feed) Follow(ctx context.Context, who tocsin.Member, community, collection string, after int64, interval time.Duration) iter.Seq2[News, error] {
	return func(yield func(News, error) bool) {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			news, changed, err := f.step(ctx, who, community, collection, after)
			if err != nil {
				yield(News{}, err)
				return
			}
			if len(news.Objects) > 0 && !yield(news, nil) {
				return
			}
			moved := news.Position > after
			after = news.Position
			if moved {
				continue
			}
			select {
			case <-ctx.Done():
				yield(News{}, ctx.Err())
				return
			case <-changed:
			case <-tick.C:
				if !yield(News{Position: after}, nil) {
					return
				}
			}
		}
	}
}

// step reads once. The channel that it returns was taken before it looked, so
// nothing that is committed meanwhile is slept through.
func (f *Feed) step(ctx context.Context, who tocsin.Member, community, collection string, after int64) (News, <-chan struct{}, error) {
	who, err := f.directory.Current(who)
	if err != nil {
		return News{}, nil, err
	}
	c, reader, err := f.open(who, community, collection)
	if err != nil {
		return News{}, nil, err
	}
	head, changed := f.store.Head(c.ID)
	if after >= head {
		return News{Position: after}, changed, nil
	}
	found, err := f.store.Scan(ctx, store.Scan{Collection: c.ID, After: after, Most: newsPerStep})
	if err != nil {
		return News{}, nil, fmt.Errorf("scan: %w", err)
	}
	news := News{Position: max(after, found.Next)}
	for _, sealed := range found.Rows {
		if o, ok := sealed.Render(reader); ok {
			news.Objects = append(news.Objects, o)
		}
	}
	return news, changed, f.disclose(ctx, who, c, news.Objects)
}
