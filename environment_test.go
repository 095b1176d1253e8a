package convoxci_test

import (
	"go/ast"
	"strings"
	"testing"
)

// TestOnlyMainReadsTheEnvironment: what a run depends on is handed down from
// main, so that a test can say what it is. Libraries of others may still read
// it; net/http does for proxies, and Docker's credential helpers do.
func TestOnlyMainReadsTheEnvironment(t *testing.T) {
	reads := []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "UserHomeDir", "UserCacheDir", "UserConfigDir"}
	for path, f := range goFiles(t) {
		if strings.HasPrefix(path, "cmd/") || strings.HasPrefix(path, "examples/") || strings.HasPrefix(path, "bench/") { // programs
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if id, ok := s.X.(*ast.Ident); ok && id.Name == "os" {
				for _, name := range reads {
					if s.Sel.Name == name {
						t.Errorf("%s reads the environment: os.%s", fileSet.Position(n.Pos()), name)
					}
				}
			}
			return true
		})
	}
}
