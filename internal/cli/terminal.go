package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal tells whether a descriptor is a terminal.
func isTerminal(fd uintptr) bool {
	_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
	return err == nil
}

// terminalWidth gives the function that tells the columns of a terminal, which
// may change at any time; nil for a file that is none.
func terminalWidth(f *os.File) func() int {
	if !isTerminal(f.Fd()) {
		return nil
	}
	return func() int {
		const usual = 80
		size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
		if err != nil || size.Col == 0 {
			return usual
		}
		return int(size.Col)
	}
}
