package registry

import "strings"

// The kinds of things that a registry serves:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
type thing int

const (
	nothing  thing = iota
	version        // whether there is a registry
	tagList        // the tags of a repository
	manifest       // of a tag or a digest
	blob           // of a digest
	uploads        // where uploads of a repository begin
	upload         // one of them
)

// route is what the path of a request leads to.
type route struct {
	thing thing
	name  string // of the repository
	which string // tag, digest or id
}

// routeOf reads a path from its end, since a repository may have a name like
// "tags/list" or "blobs/uploads" itself.
func routeOf(path string) route {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return route{}
	}
	if rest == "" {
		return route{thing: version}
	}
	if name, ok := strings.CutSuffix(rest, "/tags/list"); ok {
		return route{tagList, name, ""}
	}
	rest, which := cutLast(rest)
	name, kind := cutLast(rest)
	switch kind {
	case "manifests":
		return route{manifest, name, which}
	case "blobs":
		if which == "uploads" {
			return route{uploads, name, ""}
		}
		return route{blob, name, which}
	case "uploads":
		name, kind = cutLast(name)
		switch {
		case kind != "blobs":
		case which == "":
			return route{uploads, name, ""}
		default:
			return route{upload, name, which}
		}
	}
	return route{}
}

// cutLast cuts the last part off a path.
func cutLast(path string) (before, last string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}
