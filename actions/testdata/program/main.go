// Command program is all that is in the images of the app: what its build does, and
// what is run in it, under whatever name.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "program:", err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	switch strings.Join(args, " ") {
	case "fail":
		return fmt.Errorf("failing as told")
	case "hold":
		return hold(os.Getenv("GATE"))
	}
	fmt.Println(strings.Join(append([]string{name}, args...), " "), "was run, COLOUR is", os.Getenv("COLOUR"))
	return nil
}

// hold waits until the gate at an address is opened, or its process ends.
func hold(gate string) error {
	conn, err := net.Dial("tcp", gate)
	if err != nil {
		return err
	}
	fmt.Println("holding")
	_, err = io.Copy(io.Discard, conn)
	return err
}
