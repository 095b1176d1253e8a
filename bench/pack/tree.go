//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// copiesOfGo copies the source of Go into a new folder of dir, several times.
func copiesOfGo(ctx context.Context, dir string, copies int) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	from := os.DirFS(filepath.Join(strings.TrimSpace(string(root)), "src"))
	tree := filepath.Join(dir, "tree")
	for i := range copies {
		if err := os.CopyFS(filepath.Join(tree, fmt.Sprint("copy", i)), from); err != nil {
			return "", err
		}
	}
	return tree, nil
}
