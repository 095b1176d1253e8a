//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

const module = "github.com/convox-ci/convox-ci/"

// links are the links of the table, in Mbit/s; 0 is loopback as it is.
var links = []float64{0, 100, 1000}

// compareLevels prints how long it takes to send at each level over each link. The level is a
// constant, so this program is built once for each: nothing else differs.
func compareLevels(ctx context.Context, s settings, dir string) error {
	programs := map[int]string{}
	for level := 1; level <= maxLevel; level++ {
		program, err := buildWith(ctx, dir, level)
		if err != nil {
			return err
		}
		programs[level] = program
	}
	packing := make([][]sample, maxLevel+1)
	sending := make([][3][]sample, maxLevel+1)
	rounds := s.rounds
	s.rounds = 1
	for range rounds { // of all levels, so that they share the noise
		for level, program := range programs {
			s.program = program
			for i, link := range links {
				s.link = link
				all, err := measure(ctx, s, wayOurs)
				if err != nil {
					return err
				}
				sending[level][i] = append(sending[level][i], all[wayOurs]...)
			}
			all, err := measure(ctx, s, wayPack)
			if err != nil {
				return err
			}
			packing[level] = append(packing[level], all[wayPack]...)
		}
	}
	fmt.Printf("tree %s: %d files, %.1f MB; %d rounds, medians; %s\n\n", s.tree, packing[1][0].Files, mb(packing[1][0].Input), rounds, load())
	fmt.Println("level  pack MB/s   CPU s  sent MB   loopback s  100 Mbit/s  1 Gbit/s")
	for level := 1; level <= maxLevel; level++ {
		pack := packing[level]
		fmt.Printf("%5d %10.0f %7.2f %8.1f", level, mb(pack[0].Input)/median(column(pack, seconds)), median(column(pack, processor)), mb(pack[0].Sent))
		for _, samples := range sending[level] {
			fmt.Printf(" %11.2f", median(column(samples, seconds)))
		}
		fmt.Println()
	}
	return nil
}

// buildWith builds this program with another level of compression.
func buildWith(ctx context.Context, dir string, level int) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module+"internal/source").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	name := filepath.Join(string(out[:len(out)-1]), "zip.go")
	text, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	constant := regexp.MustCompile(`\bcompression = \d`)
	if n := len(constant.FindAll(text, -1)); n != 1 {
		return "", fmt.Errorf("%s sets the level %d times", name, n)
	}
	changed := filepath.Join(dir, fmt.Sprintf("zip%d.go", level))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{name: changed}})
	if err != nil {
		return "", err
	}
	plan, program := changed+".json", filepath.Join(dir, fmt.Sprint("pack", level))
	if err := os.WriteFile(changed, constant.ReplaceAll(text, fmt.Append(nil, "compression = ", level)), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(plan, overlay, 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", plan, "-o", program, module+"bench/pack")
	cmd.Stderr = os.Stderr
	return program, cmd.Run()
}
