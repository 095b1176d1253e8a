//go:build !linux

package main

// removeLeftovers has nothing to do where nothing is built.
func removeLeftovers(string) error { return nil }

// leftovers lists nothing likewise.
func leftovers(string) ([]string, error) { return nil, nil }
