package sqlite

// Rewrites returns a number that is another one after something has changed of
// what stands at the positions from..to of a collection.
func (s *Store) Rewrites(collection string, from, to int64) uint64 {
	s.mu.RLock()
	number := s.collections[collection].number
	s.mu.RUnlock()
	return s.rewrites.Sum(number, from, to)
}
