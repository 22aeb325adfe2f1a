package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// ErrNoServer says that a wanted PostgreSQL is not installed.
var ErrNoServer = errors.New("no suitable PostgreSQL server found; run `make servers` (or `make test`), see scripts/install-servers")

// Install is one PostgreSQL installation.
type Install struct {
	Major   int
	Version string // "15.18"
	BinDir  string
}

// Program gives the path of one of the installation's programs; an error when
// it does not have it (the npm packages hold only postgres, initdb, pg_ctl).
func (in Install) Program(name string) (string, error) {
	p := filepath.Join(in.BinDir, name)
	if _, err := os.Stat(p); err != nil {
		return "", fmt.Errorf("find program of PostgreSQL %s: %w", in.Version, err)
	}
	return p, nil
}

// CacheDir is where scripts/install-servers unpacks servers and where tests
// keep what outlives them. Root's home is closed to the user the server runs
// as, so root uses /var/cache.
func CacheDir() (string, error) {
	if d := os.Getenv("GS_PROBACKUP_TEST_CACHE"); d != "" {
		return d, nil
	}
	if os.Geteuid() == 0 {
		return "/var/cache/gs_probackup-test", nil
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w", err)
	}
	return filepath.Join(d, "gs_probackup-test"), nil
}

// Find lists the installations of the machine, one per major version, oldest
// first: Debian's, pg_config's, then the cache of scripts/install-servers.
func Find() ([]Install, error) {
	var bins []string
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is valid
	bins = append(bins, debian...)
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		bins = append(bins, strings.TrimSpace(string(out)))
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	npm, _ := filepath.Glob(filepath.Join(cache, "servers", "*", "native", "bin"))
	bins = append(bins, npm...)

	found := map[int]Install{}
	for _, bin := range bins {
		in, ok := probe(bin)
		if _, have := found[in.Major]; ok && !have {
			found[in.Major] = in
		}
	}
	var list []Install
	for _, in := range found {
		list = append(list, in)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Major < list[j].Major })
	if len(list) == 0 {
		return nil, ErrNoServer
	}
	return list, nil
}

// FindMajor finds one major version; 0 means the one nearest to 15, the
// version most tests are written for.
func FindMajor(major int) (Install, error) {
	list, err := Find()
	if err != nil {
		return Install{}, err
	}
	best, dist := Install{}, 1000
	for _, in := range list {
		if in.Major == major {
			return in, nil
		}
		if d := max(in.Major-15, 15-in.Major); major == 0 && d < dist {
			best, dist = in, d
		}
	}
	if major != 0 {
		return Install{}, fmt.Errorf("find PostgreSQL %d: %w", major, ErrNoServer)
	}
	return best, nil
}

var versionRE = regexp.MustCompile(`\(PostgreSQL\) ((\d+)[.\w]*)`)

func probe(bin string) (Install, bool) {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return Install{}, false
		}
	}
	out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return Install{}, false
	}
	m := versionRE.FindStringSubmatch(string(out))
	if m == nil {
		return Install{}, false
	}
	major, err := strconv.Atoi(m[2])
	if err != nil || major < 12 {
		return Install{}, false
	}
	return Install{Major: major, Version: m[1], BinDir: bin}, true
}
