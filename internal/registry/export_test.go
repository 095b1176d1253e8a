package registry

// Limit makes the largest body of a request one of that many bytes.
func (s *Storage) Limit(most int64) { s.most = most }
