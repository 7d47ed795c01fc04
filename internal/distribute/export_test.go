package distribute

// Kept returns how many pages a feed keeps, and how many bytes they take.
func (f *Feed) Kept() (pages int, bytes int64) {
	f.pages.mu.Lock()
	defer f.pages.mu.Unlock()
	return f.pages.order.Len(), f.pages.size
}
