package main

import (
	"cmp"
	"fmt"
	"slices"
)

// maxImage is what the image of the Action may weigh in bytes, compressed as
// registries have it: it is fetched before every step that nobody ran before.
const maxImage = 25 << 20

// image prints what the image of the Action weighs and of what. Besides the program
// these are the files of this machine that are like those in it.
func image(program string) error {
	type part struct {
		what, path string
		size       int64
	}
	parts := []part{
		{what: "the program", path: program},
		{what: "busybox, for sh, env and tail", path: "/bin/busybox"},
		{what: "certificate authorities", path: "/etc/ssl/certs/ca-certificates.crt"},
	}
	var all int64
	for i := range parts {
		size, err := gzipped(parts[i].path)
		if err != nil {
			return err
		}
		parts[i].size = size
		all += size
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(b.size, a.size) })
	fmt.Printf("image of the Action, compressed: %s\n", mb(all))
	for _, p := range parts {
		fmt.Printf("%9s  %s\n", mb(p.size), p.what)
	}
	fmt.Println()
	if all > maxImage {
		return fmt.Errorf("the image weighs more than %s", mb(maxImage))
	}
	return nil
}
