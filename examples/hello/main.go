// Command hello greets. It is the program of the example app.
package main

import (
	"fmt"
	"net/http"
	"os"
)

// greetingFile is where the build of the image left the greeting.
const greetingFile = "/greeting.txt"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "write" {
		greeting := os.Getenv("GREETING")
		fmt.Printf("the greeting is %q\n", greeting)
		return os.WriteFile(args[1], []byte(greeting+", world\n"), 0o644)
	}
	if len(args) == 2 && args[0] == "serve" {
		greeting, err := os.ReadFile(greetingFile)
		if err != nil {
			return err
		}
		return http.ListenAndServe(args[1], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(greeting) }))
	}
	return fmt.Errorf("usage: hello write FILE | serve ADDRESS")
}
