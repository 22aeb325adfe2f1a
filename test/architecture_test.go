// Package test guards the shape of the house (design.md §2): which package may
// import which, what only one place may do, and the size of files. The linter
// says the same (.golangci.yml), but this runs with every go test.
package test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "gsprobackup"

// floors gives each package below internal/ its height. A package imports
// lower ones only; those of the ground and of the top floor may use each other.
var floors = map[string]int{
	"event": ground, "usererr": ground, "fsx": ground, "compress": ground, "crc32c": ground, "optvalue": ground, "pieces": ground,
	"wal": 20, "ptrack": 21, "pgdata": 21, "blockfile": 22, "catalog": 22, "server": 22, "remote": 23, "pagecopy": 24,
	"backup": useCase, "restore": useCase, "validate": useCase, "merge": useCase, "retention": useCase, "remove": useCase, "archive": useCase,
	"cli": top, "compat": top, "logging": top, "metrics": top, "manual": top,
}

const (
	ground  = 10
	useCase = 30
	top     = 40
)

// contains lists the use cases whose verb contains another one.
var contains = map[string][]string{
	"backup": {"validate", "retention"}, "restore": {"validate"}, "merge": {"validate"}, "retention": {"merge"},
}

// topOnly are the libraries of the top floor.
var topOnly = []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/rs/zerolog", "golang.org/x/term", "log"}

// fileCalls are the functions of package os that touch files; fsx only.
var fileCalls = []string{
	"Open", "OpenFile", "Create", "CreateTemp", "ReadFile", "WriteFile", "ReadDir", "Mkdir", "MkdirAll", "MkdirTemp",
	"Remove", "RemoveAll", "Rename", "Link", "Symlink", "Readlink", "Chmod", "Chown", "Chtimes", "Truncate", "Stat", "Lstat",
}

// libpqFiles look at the client's own sockets and password file, as libpq
// does; they are no part of a data directory or catalog.
var libpqFiles = []string{"internal/server/options.go", "internal/server/pgpass.go"}

const maxLines = 500

type source struct {
	path  string // slash-separated, from the module's root
	text  []byte
	file  *ast.File
	place string // first element below internal/, "" elsewhere
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	fset := token.NewFileSet()
	for _, root := range []string{"cmd", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join("..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() && d.Name() == "testdata" {
				return cmpSkip(err)
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
			if err != nil {
				return err
			}
			s := source{path: strings.TrimPrefix(filepath.ToSlash(path), "../"), text: text, file: file}
			if rest, ok := strings.CutPrefix(s.path, "internal/"); ok {
				s.place, _, _ = strings.Cut(rest, "/")
			}
			list = append(list, s)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(list) < 10 {
		t.Fatalf("only %d Go files found", len(list))
	}
	return list
}

func cmpSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

func TestImportsGoDownwards(t *testing.T) {
	homeless := map[string]bool{}
	for _, s := range sources(t) {
		if _, known := floors[s.place]; s.place != "" && !known && !homeless[s.place] {
			homeless[s.place] = true
			t.Errorf("package internal/%s has no floor; give it one here", s.place)
		}
		for _, imp := range s.file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if bad := importFault(s, path); bad != "" {
				t.Errorf("%s imports %s: %s", s.path, path, bad)
			}
		}
	}
}

func importFault(s source, path string) string {
	inChecker := strings.HasPrefix(s.path, "test/checker/")
	target, product := strings.CutPrefix(path, module+"/internal/")
	switch {
	case inChecker && product:
		return "the checker must not share code with what it checks"
	case strings.HasPrefix(path, module+"/test") && !s.isTest() && !strings.HasPrefix(s.path, "test/"):
		return "a product package must not use test code"
	case s.place == "" || s.isTest():
		return ""
	}
	floor := floors[s.place]
	if !product {
		if floor < top && slices.Contains(topOnly, path) {
			return "top floor only"
		}
		return ""
	}
	place, _, _ := strings.Cut(target, "/")
	below, known := floors[place]
	sameFloor := floor == below && (floor == ground || floor == top)
	if !known || place == s.place || below < floor || sameFloor || slices.Contains(contains[s.place], place) {
		return "" // an unknown package is reported for its own files
	}
	return "imports go downwards only"
}

// Only main exits, nobody prints but through a stream it was given, files are
// touched through fsx, and nothing happens before main.
func TestWhatOnlyOnePlaceMayDo(t *testing.T) {
	for _, s := range sources(t) {
		if s.place == "" || s.isTest() {
			continue
		}
		for _, decl := range s.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init", s.path)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok || pkg.Obj != nil { // a variable of that name
				return true
			}
			switch name := pkg.Name + "." + sel.Sel.Name; {
			case name == "os.Exit", strings.HasPrefix(name, "fmt.Print"):
				t.Errorf("%s calls %s", s.path, name)
			case pkg.Name == "os" && s.place != "fsx" && slices.Contains(fileCalls, sel.Sel.Name) && !(sel.Sel.Name == "Stat" && slices.Contains(libpqFiles, s.path)):
				t.Errorf("%s calls %s; files are touched through fsx only", s.path, name)
			case (name == "os.Stdout" || name == "os.Stderr" || name == "os.Stdin") && s.place != "cli":
				t.Errorf("%s uses %s; emit an event", s.path, name)
			}
			return true
		})
	}
}

func TestFilesAreShortAndFormatted(t *testing.T) {
	for _, s := range sources(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > maxLines && !ast.IsGenerated(s.file) {
			t.Errorf("%s has %d lines, more than %d: split it by idea", s.path, n, maxLines)
		}
		if nice, err := format.Source(s.text); err != nil || !bytes.Equal(nice, s.text) {
			t.Errorf("%s is not gofmt'ed (%v)", s.path, err)
		}
	}
}

// Each package says what it owns.
func TestPackagesHaveComments(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		dir := filepath.Dir(s.path)
		documented[dir] = documented[dir] || s.file.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}
