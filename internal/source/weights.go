package source

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// biggestShown is how many paths a survey names: as many as a person looks at.
const biggestShown = 10

// weights adds up what a tree holds. Of the files it keeps only the biggest, so that it takes
// memory for folders alone.
type weights struct {
	files   []Path           // at most biggestShown, the biggest first
	folders map[string]int64 // by name without a slash at the end
	child   map[string]int64 // of each folder the weight of the heaviest thing in it
}

func newWeights() *weights {
	return &weights{folders: map[string]int64{}, child: map[string]int64{}}
}

// add takes a file into account.
func (w *weights) add(name string, bytes int64) {
	if bytes == 0 {
		return
	}
	w.files = heaviest(append(w.files, Path{name, bytes}))
	folder := path.Dir(name)
	w.child[folder] = max(w.child[folder], bytes)
	for ; folder != "."; folder = path.Dir(folder) {
		w.folders[folder] += bytes
	}
}

// biggest returns files and folders. A folder is left out where one thing in it is more than half
// of it: that one says more.
func (w *weights) biggest() []Path {
	for name, bytes := range w.folders {
		above := path.Dir(name)
		w.child[above] = max(w.child[above], bytes)
	}
	all := slices.Clone(w.files)
	for name, bytes := range w.folders {
		if w.child[name] <= bytes/2 {
			all = append(all, Path{name + "/", bytes})
		}
	}
	return heaviest(all)
}

// heaviest returns the biggest of paths in their order.
func heaviest(paths []Path) []Path {
	slices.SortFunc(paths, func(a, b Path) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
	return paths[:min(len(paths), biggestShown)]
}
