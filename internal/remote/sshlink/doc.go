// Package sshlink reaches another machine over ssh: it is the agent.Link of
// remote mode (spec/server.md §5).
//
// It owns the choice between two transports and both of them: a client built
// on golang.org/x/crypto/ssh, which runs several far processes over few
// connections, notices a lost link by itself and needs no ssh program here;
// and the system's ssh, started with the argument list of the C tool for
// whatever the first cannot do. It owns authentication, host keys, and
// Deploy, which puts a copy of this program on the far side for a while.
//
// It leaves reading ssh_config to sshconf, what is said over a channel to
// agent, and the words of events to internal/cli.
//
// No secret passes through it but private keys, which are neither logged nor
// handed to another process. Text of users (host, user, paths) reaches a shell
// only quoted, and ssh only where it cannot be taken for an option.
package sshlink
