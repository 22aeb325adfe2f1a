package cli

import (
	"os"
	"unsafe"
)

// maskArgument overwrites the value of a secret option in the memory the
// kernel shows to ps: one asterisk, the rest zero (spec/cli.md §9).
//
// On Linux the Go runtime makes the strings of os.Args by pointing into the
// argument block the kernel set up, which is writable and belongs to the
// process. Go otherwise treats strings as constant, so every word that is
// still needed must have been copied before: Run works on copies, and nothing
// in this program reads os.Args again.
func maskArgument(arg, off int) {
	if arg < 1 || arg >= len(os.Args) || off < 0 || off >= len(os.Args[arg]) {
		return
	}
	word := os.Args[arg]
	// In the kernel's block the words follow each other, a zero byte between
	// them. Anything else is an os.Args somebody made, maybe of constants in
	// read-only memory.
	before := os.Args[arg-1]
	end := uintptr(unsafe.Pointer(unsafe.StringData(before))) + uintptr(len(before)) + 1
	if end != uintptr(unsafe.Pointer(unsafe.StringData(word))) {
		return
	}
	value := unsafe.Slice(unsafe.StringData(word), len(word))[off:]
	for i := range value {
		value[i] = 0
	}
	value[0] = '*'
}
