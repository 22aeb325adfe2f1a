// Command opengaussd runs the stand-in server on a new cluster, for trying the
// tool by hand:
//
//	opengaussd -dir /tmp/og
//
// makes /tmp/og/data, prints how to connect, and changes the cluster by one
// step for each line it reads.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gsprobackup/test/opengaussd"
	"gsprobackup/test/opengaussd/ogdata"
)

func main() {
	dir := flag.String("dir", "", "new directory for the cluster")
	flag.Parse()
	if err := run(*dir, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "opengaussd:", err)
		os.Exit(1)
	}
}

func run(dir string, in io.Reader, out io.Writer) (err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	c, err := ogdata.New(ogdata.Options{Dir: filepath.Join(dir, "data"), Tablespaces: filepath.Join(dir, "spaces")})
	if err != nil {
		return err
	}
	defer func() { err = joinClose(err, c.Close()) }()
	s, err := opengaussd.Start(opengaussd.Config{Cluster: c})
	if err != nil {
		return err
	}
	defer func() { err = joinClose(err, s.Close()) }()
	fmt.Fprintf(out, "-D %s -h 127.0.0.1 -p %d -U %s -W %s -d testdb\nEnter: change the cluster; end of input: stop\n",
		c.Dir(), s.Port, opengaussd.GoldenUser, opengaussd.GoldenPassword)
	lines := bufio.NewScanner(in)
	for step := 1; lines.Scan(); step++ {
		if err := c.Mutate(step); err != nil {
			return err
		}
		fmt.Fprintf(out, "step %d done\n", step)
	}
	return lines.Err()
}

func joinClose(err, closed error) error {
	if err != nil {
		return err
	}
	return closed
}
