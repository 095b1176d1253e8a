package convoxci_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The budgets. What is over one has a second subject in it that wants out.
const (
	maxFileLines  = 400
	maxFuncLines  = 60
	maxParameters = 5
	maxFields     = 12
	maxMethods    = 5
)

// overBudget are the exceptions, with the number each may have and the reason.
// The list may only shrink: an entry that is not needed any more fails the test.
var overBudget = map[string]int{
	"internal/rack/rack.go: fields of Build":    15, // the record of the wire, field by field
	"internal/wire/wire.go: fields of Exchange": 13, // likewise
}

// goFiles parses every file of the module that is no test.
func goFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || path != "." && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fileSet, path, nil, parser.ParseComments)
		files[filepath.ToSlash(path)] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var fileSet = token.NewFileSet()

// lineSpan counts the lines of a node.
func lineSpan(n ast.Node) int {
	return fileSet.Position(n.End()).Line - fileSet.Position(n.Pos()).Line + 1
}

func TestBudgets(t *testing.T) {
	used := map[string]bool{}
	check := func(what string, n, limit int) {
		if allowed, ok := overBudget[what]; ok && n == allowed {
			used[what] = true
			return
		}
		if n > limit {
			t.Errorf("%s: %d, at most %d", what, n, limit)
		}
	}
	for path, f := range goFiles(t) {
		check(path+": lines", fileSet.Position(f.FileEnd).Line, maxFileLines)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				name := path + ": %s of " + n.Name.Name
				check(fmt.Sprintf(name, "lines"), lineSpan(n), maxFuncLines)
				check(fmt.Sprintf(name, "parameters"), n.Type.Params.NumFields(), maxParameters)
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok {
					check(path+": fields of "+n.Name.Name, s.Fields.NumFields(), maxFields)
				}
				if i, ok := n.Type.(*ast.InterfaceType); ok {
					check(path+": methods of "+n.Name.Name, i.Methods.NumFields(), maxMethods)
				}
			}
			return true
		})
	}
	for what := range maps.Keys(overBudget) {
		if !used[what] {
			t.Errorf("%q needs no exception any more: take it off the list", what)
		}
	}
}

// TestNoHiddenState: no function runs by itself at start, and no package
// variable is assigned to. A local variable of the same name hides it.
func TestNoHiddenState(t *testing.T) {
	variables := map[string][]string{} // by directory
	files := goFiles(t)
	for name, f := range files {
		variables[path.Dir(name)] = append(variables[path.Dir(name)], packageVariables(f)...)
	}
	for name, f := range files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init", name)
			}
			local, assigned := names(fn)
			for _, id := range assigned {
				if slices.Contains(variables[path.Dir(name)], id.Name) && !slices.Contains(local, id.Name) {
					t.Errorf("%s: %s is a package variable and changes", fileSet.Position(id.Pos()), id.Name)
				}
			}
		}
	}
}

// names gives the names that a function declares, and those it assigns to.
func names(fn *ast.FuncDecl) (local []string, assigned []*ast.Ident) {
	note := func(define bool, targets ...ast.Expr) {
		for _, target := range targets {
			id := root(target)
			switch {
			case id == nil || id.Name == "_":
			case define:
				local = append(local, id.Name)
			default:
				assigned = append(assigned, id)
			}
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, id := range n.Names {
				local = append(local, id.Name)
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				local = append(local, id.Name)
			}
		case *ast.AssignStmt:
			note(n.Tok == token.DEFINE, n.Lhs...)
		case *ast.RangeStmt:
			note(n.Tok == token.DEFINE, n.Key, n.Value)
		case *ast.IncDecStmt:
			note(false, n.X)
		}
		return true
	})
	return local, assigned
}

// root is the variable that an assignment to an expression changes: of a.b, a[i]
// and *a it is a. It is nil for what no name stands for.
func root(e ast.Expr) *ast.Ident {
	for {
		switch inner := e.(type) {
		case *ast.Ident:
			return inner
		case *ast.SelectorExpr:
			e = inner.X
		case *ast.IndexExpr:
			e = inner.X
		case *ast.StarExpr:
			e = inner.X
		case *ast.ParenExpr:
			e = inner.X
		default:
			return nil
		}
	}
}

func packageVariables(f *ast.File) []string {
	var list []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			for _, id := range s.(*ast.ValueSpec).Names {
				list = append(list, id.Name)
			}
		}
	}
	return list
}

// TestExportedNamesAreDocumented wants a comment on every exported name that
// another package can reach, fields of structs left to their type's comment.
func TestExportedNamesAreDocumented(t *testing.T) {
	for path, f := range goFiles(t) {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && !needsNoComment(d) {
					t.Errorf("%s: %s has no comment", path, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, name := range undocumented(d) {
					t.Errorf("%s: %s has no comment", path, name)
				}
			}
		}
	}
}

// needsNoComment tells whether a method is explained by the interface it serves:
// one of a type that nobody outside can name, or one that everybody knows.
func needsNoComment(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return false
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	id, ok := t.(*ast.Ident)
	standard := slices.Contains([]string{"Error", "String", "Unwrap"}, d.Name.Name) // said by the interface they are known from
	return standard || ok && !id.IsExported()
}

func undocumented(d *ast.GenDecl) []string {
	var names []string
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
				names = append(names, s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, n := range s.Names {
				if n.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}
