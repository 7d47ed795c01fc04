package distribute

import (
	"context"
	"iter"
	"time"

	"tocsin"
	"tocsin/internal/member"
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

// What one subscriber is given at once. Its queue is a position in the order,
// never a buffer: while it does not read, it holds one step.
const (
	rowsPerStep  = 200      // that are looked at, visible or not
	bytesPerStep = 14 << 10 // of content; one object may be larger
)

// Follow yields what a reader may see after a position, as it comes, until the
// context ends or the reader loses its rights. Rights are looked up anew for
// every step, after it was read, so what was decided for a reader is never older
// than the step. Every interval without news yields an empty step. What is
// yielded is the caller's.
func (f *Feed) Follow(ctx context.Context, who tocsin.Member, community, collection string, after int64, interval time.Duration) iter.Seq2[News, error] {
	return func(yield func(News, error) bool) {
		c, _, err := f.open(who, community, collection)
		if err != nil {
			yield(News{}, err)
			return
		}
		s := &subscription{feed: f, who: who, collection: c, after: after, head: f.heads.follow(c.ID)}
		defer s.head.leave()
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			news, changed, err := s.step(ctx)
			if err != nil {
				yield(News{}, err)
				return
			}
			if len(news.Objects) > 0 && !yield(news, nil) {
				return
			}
			if s.waited = changed != nil; !s.waited {
				continue
			}
			select {
			case <-ctx.Done():
				yield(News{}, ctx.Err())
				return
			case <-changed:
			case <-tick.C:
				if !yield(News{Position: s.after}, nil) {
					return
				}
			}
		}
	}
}

// A subscription is one reader that follows one collection.
type subscription struct {
	feed       *Feed
	who        tocsin.Member
	collection member.Collection
	head       *head
	after      int64
	waited     bool // everything before had been read, and there was nothing more
}

// step reads once and moves on. When there is nothing to read it returns a
// channel that was taken before it looked, so nothing that is committed meanwhile
// is slept through.
func (s *subscription) step(ctx context.Context) (News, <-chan struct{}, error) {
	last, changed := s.feed.store.Head(s.collection.ID)
	var found stretch
	if s.after < last {
		var err error
		if found, err = s.head.read(ctx, s.after, last, s.waited); err != nil {
			return News{}, nil, err
		}
		changed = nil
	}
	who, err := s.feed.directory.Current(s.who)
	if err != nil {
		return News{}, nil, err
	}
	c, reader, err := s.feed.open(who, s.collection.Community, s.collection.ID)
	if err != nil {
		return News{}, nil, err
	}
	news := News{Position: max(s.after, found.to)}
	size := 0
	for i, sealed := range found.rows {
		if o, ok := sealed.Render(reader); ok {
			if size += len(o.Raw()); news.Objects == nil {
				news.Objects = make([]view.Object, 0, min(len(found.rows), 8))
			}
			news.Objects = append(news.Objects, o)
		}
		if size >= bytesPerStep || i+1 == rowsPerStep {
			if i+1 < len(found.rows) {
				news.Position = sealed.Seq
			}
			break
		}
	}
	s.after = news.Position
	return news, changed, s.feed.disclose(ctx, who, c, news.Objects)
}
