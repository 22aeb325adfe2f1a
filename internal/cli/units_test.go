package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
)

func TestPrettySize(t *testing.T) {
	for n, want := range map[int64]string{
		-1: "0", 0: "0", 1: "1B", 10239: "10239B", 10240: "10kB", 10484735: "10239kB", 10485760: "10MB",
		16777216: "16MB", 577690814: "551MB", 1 << 40: "1024GB", 1 << 44: "16TB", 1<<63 - 1: "8388608TB",
	} {
		if got := prettySize(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestPrettyTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0", 0: "0", 999 * time.Millisecond: "0", time.Second: "1s", 362 * time.Second: "6m:2s",
		3600 * time.Second: "1h:0m", 25 * time.Hour: "1d:1h",
	} {
		if got := prettyTime(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestJSONEscapes(t *testing.T) {
	var b strings.Builder
	jsonString("\b\f\n\r\t\"\\\x01\x1f\x7f/é\xff").writeJSON(&b, 0)
	if want := `"\b\f\n\r\t\"\\\u0001\u001f` + "\x7f/é\\ufffd\""; b.String() != want {
		t.Errorf("got %s, want %s", b.String(), want)
	}
}

func TestJSONEmptyForms(t *testing.T) {
	var out bytes.Buffer
	if err := writeJSON(&out, jsonObject{{"a", jsonArray{}}, {"b", jsonList{}}, {"c", jsonList{jsonLiteral("1"), jsonLiteral("2")}}}); err != nil {
		t.Fatal(err)
	}
	want := "{\n    \"a\": [\n    ],\n    \"b\": [],\n    \"c\": [\n        1,\n        2\n    ]\n}\n"
	if out.String() != want {
		t.Errorf("got %q\nwant %q", out.String(), want)
	}
}

func TestCanonicalPath(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "//": "/", "/a/": "/a", "/a//b///": "/a/b", "/a/.": "/a", "/a/./": "/a", "/.": "/",
		"/a/b/..": "/a", "/a/b/../.": "/a", "/a/../..": "/", "/..": "/", "/a/../b": "/a/../b", "a/..": "a/..", "rel/": "rel", "": "", "/a/././": "/a", "/a.": "/a.", "./": ".",
	} {
		if got := canonicalPath(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Behind a link ".." is the parent of what the link leads to.
func TestPhysicalPath(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err == nil {
		err = errors.Join(os.MkdirAll(dir+"/deep/dir/x", 0o700), os.Symlink(dir+"/deep/dir", dir+"/link"), os.Symlink("deep", dir+"/beside"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"/link/../cat":       "/deep/cat",
		"/link/x/../../cat":  "/deep/cat",
		"/link/../../cat":    "/cat",
		"/link/../dir/../c":  "/deep/c",
		"/beside/../cat":     "/beside/../cat", // the same either way
		"/deep/dir/../cat":   "/deep/dir/../cat",
		"/nowhere/../cat":    "/nowhere/../cat",
		"/link/cat":          "/link/cat",
		"/deep/./dir/../cat": "/deep/./dir/../cat",
	} {
		if got := physicalPath(dir + in); got != dir+want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// External directories are read where the system finds them.
func TestExternalsBehindALink(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err == nil {
		err = errors.Join(os.MkdirAll(dir+"/deep/dir", 0o700), os.Symlink(dir+"/deep/dir", dir+"/link"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"/a//b/:/c/../d":        "[/a/b /d] /a//b/:/c/../d",
		dir + "/link/../e:/x/":  "[" + dir + "/deep/e /x] " + dir + "/deep/e:/x/",
		"none":                  "[] ",
		dir + "/link/x/../e::/": "[" + dir + "/link/e /] " + dir + "/link/x/../e::/",
	} {
		cfg := catalog.NewConfig()
		cfg.ExternalDirs = given
		if dirs, list := externals(cfg); fmt.Sprintf("%v %s", dirs, list) != want {
			t.Errorf("%s: %v %s, want %s", given, dirs, list, want)
		}
	}
}

// The new places of mappings are looked for on the host that they are on.
func TestPlaces(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err == nil {
		err = errors.Join(os.MkdirAll(dir+"/deep/dir", 0o700), os.Symlink(dir+"/deep/dir", dir+"/link"))
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMapping("tablespace", "/old/=/"+dir+"/link/..//new/")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{"": "/deep/new", "far": "/new"} {
		cfg := catalog.NewConfig()
		cfg.RemoteHost = host
		if got := places([]mapping{m}, cfg)[0]; got.Old != "/old" || got.New != dir+want {
			t.Errorf("host %q: %v", host, got)
		}
	}
}

// A catalog is made where the system finds that path.
func TestCatalogBehindALink(t *testing.T) {
	w := newWorld(t)
	w.stage("mkdir", home+"/deep/dir")
	if err := os.Symlink(w.real(home+"/deep/dir"), w.real(home+"/link")); err != nil {
		t.Fatal(err)
	}
	w.stage("run", "init", "-B", home+"/link/../cat")
	if _, err := os.Stat(w.real(home + "/deep/cat/backups")); err != nil {
		t.Error(err)
	}
}

func TestParseMapping(t *testing.T) {
	for in, want := range map[string]string{
		"/a=/b":                                 "/a|/b",
		`/a\=b=/c\d`:                            `/a=b|/c\d`,
		`/a=/b\=`:                               "/a|/b=",
		"/a=/b=/c":                              "multiple \"=\" signs in tablespace mapping\n",
		"/a":                                    `invalid tablespace mapping format "/a", must be "OLDDIR=NEWDIR"`,
		"/a=":                                   `invalid tablespace mapping format "/a=", must be "OLDDIR=NEWDIR"`,
		"=/b":                                   `invalid tablespace mapping format "=/b", must be "OLDDIR=NEWDIR"`,
		"":                                      `invalid tablespace mapping format "", must be "OLDDIR=NEWDIR"`,
		"a=/b":                                  "old directory is not an absolute path in tablespace mapping: a\n",
		"/a=b":                                  "new directory is not an absolute path in tablespace mapping: b\n",
		"/" + strings.Repeat("x", 1023) + "=/b": "directory name too long",
	} {
		m, err := parseMapping("tablespace", in)
		got := m.Old + "|" + m.New
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
