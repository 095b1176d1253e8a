// Command tool is all that is in the images of the stories: what their RUN lines
// do. It is static, so that they need no system around it.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tool:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) > 1 && args[0] == "print": // each argument is a line
		for _, line := range args[1:] {
			fmt.Println(line)
		}
		return nil
	case len(args) == 2 && args[0] == "env":
		fmt.Println(args[1], "is", os.Getenv(args[1]))
		return nil
	case len(args) == 3 && args[0] == "write": // a variable of the environment to a file
		return os.WriteFile(args[2], []byte(os.Getenv(args[1])+"\n"), 0o644)
	case len(args) == 2 && args[0] == "random": // to a file
		return os.WriteFile(args[1], []byte(rand.Text()+"\n"), 0o644)
	case len(args) > 1 && args[0] == "fail":
		for _, line := range args[1:] {
			fmt.Println(line)
		}
		return fmt.Errorf("failing as told")
	case len(args) == 2 && args[0] == "exit":
		n, err := strconv.Atoi(args[1])
		if err == nil {
			os.Exit(n)
		}
		return err
	case len(args) == 1 && args[0] == "cat":
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	case len(args) == 1 && args[0] == "hold":
		return hold(os.Getenv("GATE"))
	case len(args) == 2 && args[0] == "count":
		return count(args[1])
	case len(args) == 2 && args[0] == "grow":
		return grow(args[1])
	}
	return fmt.Errorf("usage: tool print LINE... | env NAME | write NAME FILE | random FILE | fail LINE... | exit STATUS | cat | hold | count LINES | grow NAME")
}

// hold waits until the gate at an address is opened. It ends with the process
// behind the gate, so that no test can leave it behind.
func hold(gate string) error {
	conn, err := net.Dial("tcp", gate)
	if err != nil {
		return err
	}
	fmt.Println("holding")
	_, err = io.Copy(io.Discard, conn)
	fmt.Println("let go")
	return err
}

// count prints numbered lines that begin with a name. It asks the gate, if there is
// one, before the first, and tells it after the last, so that the gate knows at
// every moment which of these run.
func count(lines string) error {
	n, err := strconv.Atoi(lines)
	if err != nil {
		return err
	}
	name, gate := os.Getenv("NAME"), os.Getenv("GATE")
	leave := func() error { return nil }
	if gate != "" {
		if leave, err = pass(gate, name); err != nil {
			return err
		}
	}
	for i := range n {
		fmt.Printf("%s has line %d of %d\n", name, i+1, n)
	}
	return leave()
}

// pass waits at the gate, which knows the one who waits by a name.
func pass(gate, name string) (leave func() error, err error) {
	conn, err := net.Dial("tcp", gate)
	if err != nil {
		return nil, err
	}
	answer := make([]byte, 1)
	if _, err := fmt.Fprintln(conn, name); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	return func() error {
		if _, err := fmt.Fprintln(conn, "left"); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, conn)
		return err
	}, nil
}

// grow takes so much memory as a variable says, and uses all of it.
func grow(variable string) error {
	n, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		return err
	}
	fmt.Println("growing")
	all := make([]byte, n<<20)
	for i := 0; i < len(all); i += 1 << 10 {
		all[i] = 1
	}
	fmt.Println("grown to", len(all))
	return nil
}
