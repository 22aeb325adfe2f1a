package sshlink

import (
	"fmt"
	"strconv"
	"strings"

	"gsprobackup/internal/remote/sshlink/sshconf"
	"gsprobackup/internal/usererr"
)

// fixedOptions end ssh's options in the C tool (spec/server.md §5.2). Options
// of the user come before them and win.
var fixedOptions = []string{"PasswordAuthentication=no", "Compression=no", "ControlMaster=no", "LogLevel=error"}

const onCommandLine = "--ssh-options"

// cmdline is ssh's command line but for the host.
type cmdline struct {
	words   []string // of --ssh-options
	file    string   // -F, the last one
	reasons []string // words only the system's ssh understands
}

// argv is the command line of the system's ssh (spec/server.md §5.2).
func (o Options) argv(words []string, command string) []string {
	argv := []string{"ssh"}
	for _, opt := range [][2]string{{"-p", o.Port}, {"-l", o.User}, {"-F", o.ConfigFile}} {
		if opt[1] != "" {
			argv = append(argv, opt[0], opt[1])
		}
	}
	argv = append(argv, words...)
	for _, opt := range fixedOptions {
		argv = append(argv, "-o", opt)
	}
	return append(argv, o.Host, command)
}

// flagsWithValue are ssh's options that take an argument.
const flagsWithValue = "bceilmopBDEFIJLOPQRSWw"

// keywordOf are the flags that set a keyword of ssh_config, with the value
// they set it to, "" for their argument.
var keywordOf = map[byte][2]string{
	'4': {"addressfamily", "inet"}, '6': {"addressfamily", "inet6"}, 'b': {"bindaddress"},
	'c': {"ciphers"}, 'm': {"macs"}, 'i': {"identityfile"}, 'l': {"user"}, 'p': {"port"}, 'J': {"proxyjump"},
}

// harmlessFlags change nothing for a command without terminal that forwards
// nothing.
const harmlessFlags = "aekqTx"

// parseCommandLine sets what the options say, in ssh's order.
func parseCommandLine(o Options, conf *sshconf.Config) (cmdline, error) {
	if err := o.check(); err != nil {
		return cmdline{}, err
	}
	words, err := sshconf.SplitWords(o.SSHOptions)
	if err != nil {
		return cmdline{}, usererr.Wrap(err, "Invalid value for '--ssh-options' option: '%s'", o.SSHOptions)
	}
	c := cmdline{words: words, file: o.ConfigFile}
	if o.Port != "" {
		conf.Set("port", []string{o.Port}, "--remote-port")
	}
	if o.User != "" {
		conf.Set("user", []string{o.User}, "--remote-user")
	}
	for i := 0; i < len(words); i++ {
		w := words[i]
		if len(w) < 2 || w[0] != '-' || w == "--" {
			c.reasons = append(c.reasons, fmt.Sprintf("%q of %s is no option", w, onCommandLine))
			break
		}
		for j := 1; j < len(w); j++ {
			flag, value := w[j], ""
			if strings.IndexByte(flagsWithValue, flag) >= 0 {
				value = w[j+1:]
				if value == "" {
					if i++; i == len(words) {
						c.reasons = append(c.reasons, fmt.Sprintf("-%c of %s has no argument", flag, onCommandLine))
						break
					}
					value = words[i]
				}
				j = len(w)
			}
			c.flag(conf, flag, value)
		}
	}
	if name, _, ok := cutLast(o.Host, "@"); ok {
		conf.Set("user", []string{name}, "--remote-host")
	}
	for _, opt := range fixedOptions {
		keyword, value, _ := strings.Cut(opt, "=")
		conf.Set(keyword, []string{value}, "")
	}
	return c, nil
}

func (c *cmdline) flag(conf *sshconf.Config, flag byte, value string) {
	known, isKeyword := keywordOf[flag]
	switch {
	case isKeyword:
		if known[1] != "" {
			value = known[1]
		}
		if _, twice := conf.Get(known[0]); twice && (flag == 'c' || flag == 'm' || flag == 'J') {
			// ssh lets the last one count, or refuses.
			c.reasons = append(c.reasons, fmt.Sprintf("-%c beside another %s", flag, known[0]))
		}
		conf.Set(known[0], []string{value}, onCommandLine)
	case flag == 'F':
		c.file = value
	case flag == 'o':
		if err := conf.SetOption(value, onCommandLine); err != nil {
			c.reasons = append(c.reasons, fmt.Sprintf("-o %s: %v", value, err))
		}
	case strings.IndexByte(harmlessFlags, flag) >= 0:
	default:
		c.reasons = append(c.reasons, fmt.Sprintf("-%c of %s", flag, onCommandLine))
	}
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// check refuses values that ssh could take for an option, or a shell started
// by ssh for more than one word; the rules are those of OpenSSH 9.6.
func (o Options) check() error {
	name, host, withUser := cutLast(o.Host, "@")
	if !withUser {
		name, host = "", o.Host
	}
	for _, v := range []struct{ option, value, bad string }{
		{"--remote-host", host, "'`\"$\\;&<>|(){}, \t\v\f"},
		{"--remote-host", name, "'`\";&<>|(){}\\"},
		{"--remote-user", o.User, "'`\";&<>|(){}\\"},
		{"--remote-port", o.Port, ""},
		{"--ssh-config", o.ConfigFile, ""},
	} {
		if strings.HasPrefix(v.value, "-") || strings.ContainsAny(v.value, v.bad+"\x00\r\n") {
			return usererr.New("Invalid value for '%s' option: %q", v.option, v.value)
		}
	}
	if host == "" {
		return usererr.New("Invalid value for '--remote-host' option: %q", o.Host)
	}
	if n, err := strconv.ParseUint(o.Port, 10, 16); o.Port != "" && (err != nil || n == 0) {
		return usererr.New("Invalid value for '--remote-port' option: %q", o.Port)
	}
	return nil
}
