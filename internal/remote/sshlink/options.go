package sshlink

import (
	"os"
	"os/user"
	"strconv"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// Options are how to reach a machine, as the command line gives them.
type Options struct {
	Host       string // --remote-host: name, alias of ssh_config or address; "user@" may precede
	Port       string // --remote-port; "" for the configured one or 22
	User       string // --remote-user; "" for the configured one or our own
	ConfigFile string // --ssh-config: read instead of the user's and the system's file
	SSHOptions string // --ssh-options: words for ssh
	// Local is this side; zero fields are filled from the process.
	Local  Local
	FS     fsx.FS
	Events event.Sink
}

// Local is what this side contributes to a connection.
type Local struct {
	User     string // login name
	Home     string // where .ssh is: the home directory of the user data base, as for ssh
	UID      int
	HostName string
	Getenv   func(string) string
	// SystemConfig is the machine's ssh_config.
	SystemConfig string
}

// The events of this package, besides those of agent.
type (
	// TransportChosen tells which transport runs, and why if it is not the
	// one built in.
	TransportChosen struct {
		Host    string
		BuiltIn bool
		Reason  string
	}
	// HostKeyAdded tells that the key of an unknown host was noted, as
	// StrictHostKeyChecking asked for.
	HostKeyAdded struct{ Host, Fingerprint, File string }
	// HostKeyIgnored tells that a key that is not the known one was accepted
	// because StrictHostKeyChecking is "no".
	HostKeyIgnored struct{ Host, Fingerprint string }
	// FarText is a line of a far process' or ssh's standard error.
	FarText struct{ Line string }
)

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil {
		o.FS = fsx.OS()
	}
	if o.Events == nil {
		o.Events = event.Discard
	}
	if o.Local.Getenv == nil {
		o.Local.Getenv = os.Getenv
	}
	if o.Local.User == "" || o.Local.Home == "" {
		u, err := user.Current()
		if err != nil {
			return o, usererr.Wrap(err, "Failed to establish SSH connection: no user name for uid %d", os.Getuid())
		}
		o.Local.User, o.Local.Home = u.Username, u.HomeDir
		o.Local.UID, _ = strconv.Atoi(u.Uid) // a number on this system
	}
	if o.Local.HostName == "" {
		o.Local.HostName, _ = os.Hostname() // only for %l and %L of ssh_config
	}
	if o.Local.SystemConfig == "" {
		o.Local.SystemConfig = "/etc/ssh/ssh_config"
	}
	return o, nil
}
