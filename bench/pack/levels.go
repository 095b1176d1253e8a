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

	"github.com/convox-ci/convox-ci/bench/rig"
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
	runs := []settings{} // of a level: packing alone, then over each link
	for _, link := range append([]float64{0}, links...) {
		one := s
		one.way, one.link = wayOurs, link
		runs = append(runs, one)
	}
	runs[0].way = wayPack
	samples := map[int][][]sample{}
	for round := range s.rounds + 1 { // of all levels, so that they share the noise
		for level, program := range programs {
			if round == 0 { // fills the page cache, and is not counted
				samples[level] = make([][]sample, len(runs))
			}
			for i, one := range runs {
				one.program = program
				got, err := single(ctx, one)
				if err != nil {
					return err
				}
				if round > 0 {
					samples[level][i] = append(samples[level][i], got)
				}
			}
		}
	}
	reportLevels(s, samples)
	return nil
}

// single measures one way once.
func single(ctx context.Context, s settings) (sample, error) {
	url, stop, err := discard(s.link)
	if err != nil {
		return sample{}, err
	}
	defer stop()
	s.url = url
	return child(ctx, s)
}

// reportLevels prints the least and the median of each number.
func reportLevels(s settings, samples map[int][][]sample) {
	first := samples[1][0][0]
	fmt.Printf("tree %s: %d files, %.1f MB; %d rounds, least/median; %s\n\n", s.tree, first.Files, mb(first.Input), s.rounds, rig.Load())
	fmt.Printf("%5s %8s %12s %12s %12s %12s %12s\n", "level", "sent MB", "pack CPU s", "pack s", "loopback s", "100 Mbit/s", "1 Gbit/s")
	for level := 1; level <= maxLevel; level++ {
		pack := samples[level][0]
		fmt.Printf("%5d %8.1f %12s", level, mb(pack[0].Sent), least(pack, processor))
		for _, all := range samples[level] {
			fmt.Printf(" %12s", least(all, seconds))
		}
		fmt.Println()
	}
}

// least is the least and the median of a number.
func least(all []sample, of func(sample) float64) string {
	sorted := rig.Column(all, of)
	return fmt.Sprintf("%.2f/%.2f", sorted[0], rig.Median(sorted))
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
