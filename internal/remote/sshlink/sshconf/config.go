package sshconf

import (
	"strings"
)

// Value is what a keyword was set to, and where.
type Value struct {
	Args  []string
	Where string // "FILE line N", or "--ssh-options"
}

// First is the first argument, "" without one.
func (v Value) First() string {
	if len(v.Args) == 0 {
		return ""
	}
	return v.Args[0]
}

// Config is what the command line and the files set for one host. The zero
// value is not usable; see New.
type Config struct {
	host      string // as the user wrote it
	localUser string
	values    map[string][]Value

	// Unclear are the places this package cannot decide on, such as a Match
	// with a criterion that runs a command. What follows them may be wrong.
	Unclear []string
}

// New starts the configuration of a host for a user of this machine.
func New(host, localUser string) *Config {
	return &Config{host: host, localUser: localUser, values: map[string][]Value{}}
}

// many are the keywords of which every occurrence counts.
var many = map[string]bool{
	"identityfile": true, "certificatefile": true, "sendenv": true, "setenv": true,
	"localforward": true, "remoteforward": true, "dynamicforward": true,
}

// rival are the two ways to go through another host: the first one set counts.
var rival = map[string]string{"proxyjump": "proxycommand", "proxycommand": "proxyjump"}

// aliases are the older names of keywords.
var aliases = map[string]string{
	"challengeresponseauthentication": "kbdinteractiveauthentication",
	"tisauthentication":               "kbdinteractiveauthentication",
	"skeyauthentication":              "kbdinteractiveauthentication",
	"dsaauthentication":               "pubkeyauthentication",
	"rsaauthentication":               "pubkeyauthentication",
	"pubkeyacceptedkeytypes":          "pubkeyacceptedalgorithms",
	"hostbasedkeytypes":               "hostbasedacceptedalgorithms",
	"globalknownhostsfile2":           "globalknownhostsfile",
	"userknownhostsfile2":             "userknownhostsfile",
	"identityfile2":                   "identityfile",
	"smartcarddevice":                 "pkcs11provider",
}

// Set gives a keyword a value unless it has one.
func (c *Config) Set(keyword string, args []string, where string) {
	keyword = strings.ToLower(keyword)
	if name, ok := aliases[keyword]; ok {
		keyword = name
	}
	if other := rival[keyword]; other != "" && len(c.values[other]) > 0 {
		return
	}
	if len(c.values[keyword]) == 0 || many[keyword] {
		c.values[keyword] = append(c.values[keyword], Value{Args: args, Where: where})
	}
}

// SetOption is Set for the text of `-o`: "Keyword=value" or "Keyword value".
func (c *Config) SetOption(text, where string) error {
	keyword, args, err := splitLine(text)
	if err == nil && keyword != "" {
		c.Set(keyword, args, where)
	}
	return err
}

// Get is the value that counts.
func (c *Config) Get(keyword string) (Value, bool) {
	vs := c.values[keyword]
	if len(vs) == 0 {
		return Value{}, false
	}
	return vs[0], true
}

// All are all values of a keyword, for those that add up.
func (c *Config) All(keyword string) []Value { return c.values[keyword] }

// Keywords lists what is set, without what IgnoreUnknown covers being told
// apart: see Ignored.
func (c *Config) Keywords() []string {
	var names []string
	for name := range c.values {
		names = append(names, name)
	}
	return names
}

// Ignored tells whether an unknown keyword is covered by IgnoreUnknown.
func (c *Config) Ignored(keyword string) bool {
	v, ok := c.Get("ignoreunknown")
	if !ok {
		return false
	}
	return MatchList(keyword, strings.Split(strings.ToLower(strings.Join(v.Args, ",")), ","))
}

// hostName is what HostName makes of the host so far.
func (c *Config) hostName() string {
	v, ok := c.Get("hostname")
	if !ok {
		return c.host
	}
	return strings.NewReplacer("%%", "%", "%h", c.host).Replace(v.First())
}

func (c *Config) user() string {
	if v, ok := c.Get("user"); ok {
		return v.First()
	}
	return c.localUser
}
