// Command trim cuts the small catalogs in test/golden/testdata out of the
// recordings of the real C tool:
//
//	go run ./test/golden/cmd/trim -golden ../shared/golden
//
// It keeps lines of the list with their files and header arrays as they are,
// and sets anew what counts them: content-crc, data-bytes, wal-bytes,
// uncompressed-bytes, and hdr_off in a header map that has only the kept
// arrays.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	src := flag.String("golden", "../shared/golden", "directory with the recordings")
	dst := flag.String("out", "test/golden/testdata", "directory for the small catalogs")
	only := flag.String("only", "", "name of the one catalog to cut")
	flag.Parse()
	for _, c := range cuts {
		if *only != "" && c.name != *only {
			continue
		}
		if err := c.run(*src, filepath.Join(*dst, c.name+".tar.zst")); err != nil {
			fmt.Fprintf(os.Stderr, "trim %s: %v\n", c.name, err)
			os.Exit(1)
		}
	}
}
