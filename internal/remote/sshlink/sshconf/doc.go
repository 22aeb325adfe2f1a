// Package sshconf reads ssh_config(5) files the way OpenSSH's client does.
//
// It owns the grammar (words, quotes, comments, Host, Match, Include), the
// rule that the first value found counts, and the list of what was found. It
// leaves what a keyword means, and whether a value can be honoured, to
// sshlink.
//
// A library would have been preferred. The one in general use gives values of
// keywords it is asked for, but cannot tell which others a file sets (and
// sshlink must know, to hand over to the system's ssh), knows only two
// criteria of Match, and reads values without the quoting rules. The tests
// compare this package with `ssh -G`.
package sshconf
