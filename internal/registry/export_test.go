package registry

// Limit makes the largest body of a request one of that many bytes.
func (s *Storage) Limit(most int64) { s.most = most }

// ContentRange reads the header of that name.
var ContentRange = contentRange

// RouteOf reads a path; what of nothing is 0.
func RouteOf(path string) (thing int, name, which string) {
	r := routeOf(path)
	return int(r.thing), r.name, r.which
}
