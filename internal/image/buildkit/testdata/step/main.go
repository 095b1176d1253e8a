// Step is the one program in the images of the tests: what their RUN lines do.
package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		fail("no step")
	}
	args := os.Args[2:]
	switch os.Args[1] {
	case "keep": // NAME FILE: the value of a variable
		fmt.Printf("%s is %s\n", args[0], os.Getenv(args[0]))
		write(args[1], os.Getenv(args[0]))
	case "random": // FILE
		write(args[0], rand.Text())
	case "grow": // FILE: longer by one byte
		data, _ := os.ReadFile(args[0])
		write(args[0], string(data)+"+")
		fmt.Printf("grown to %d\n", len(data)+1)
	case "gate": // NAME: hold a connection to the address in a variable until the other end closes it
		gate(args[0])
	case "fill": // MEGABYTES NAME FILE: have so much memory at a gate
		n, err := strconv.Atoi(args[0])
		if err != nil {
			fail(err)
		}
		filled := bytes.Repeat([]byte("+"), n<<20)
		gate(args[1])
		write(args[2], string(filled[:1]))
	case "lines": // NUMBER
		n, err := strconv.Atoi(args[0])
		if err != nil {
			fail(err)
		}
		for i := range n {
			fmt.Printf("this is line %d of very many of them\n", i+1)
		}
	case "wait": // until it is told to end
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		<-ended
	case "dial-stdio": // what buildctl does, to the socket that stands for its own
		conn, err := net.Dial("unix", "/run/buildkit/sock")
		if err != nil {
			fail(err)
		}
		go func() { io.Copy(conn, os.Stdin); conn.Close() }()
		io.Copy(os.Stdout, conn)
	case "break":
		fmt.Println("about to break")
		fmt.Fprintln(os.Stderr, "broken")
		os.Exit(7)
	default:
		fail("unknown step " + os.Args[1])
	}
}

func gate(variable string) {
	fmt.Println("at the gate")
	conn, err := net.Dial("tcp", os.Getenv(variable))
	if err != nil {
		fail(err)
	}
	io.Copy(io.Discard, conn)
	fmt.Println("through the gate")
}

func write(name, text string) {
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		fail(err)
	}
}

func fail(reason any) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(1)
}
