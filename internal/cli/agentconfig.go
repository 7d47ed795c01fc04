package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"tocsin/internal/agent"
	"tocsin/internal/export"
)

// An exportFlag takes FORMAT=FILE.
type exportFlag struct{ exports *[]agent.Export }

// Set is for pflag.
func (x exportFlag) Set(text string) error {
	format, file, ok := strings.Cut(text, "=")
	if !ok || file == "" {
		return errors.New("write it like rpz=/etc/bind/rpz.db")
	}
	if _, err := export.Find(format); err != nil {
		return err //nolint:wrapcheck // it says what is wrong
	}
	*x.exports = append(*x.exports, agent.Export{Format: format, File: file})
	return nil
}

// String is for pflag.
func (exportFlag) String() string { return "" }

// Type is for pflag.
func (exportFlag) Type() string { return "FORMAT=FILE" }

// A reloadFlag takes the command for the export before it.
type reloadFlag struct{ exports *[]agent.Export }

// Set is for pflag.
func (x reloadFlag) Set(text string) error {
	last := len(*x.exports) - 1
	if last < 0 || (*x.exports)[last].Reload != "" {
		return errors.New("it belongs to the --export before it, one to each")
	}
	(*x.exports)[last].Reload = text
	return nil
}

// String is for pflag.
func (reloadFlag) String() string { return "" }

// Type is for pflag.
func (reloadFlag) Type() string { return "COMMAND" }

// An agentConfig is what the file of 'tocsin agent --config' says.
type agentConfig struct {
	Hub         string         `yaml:"hub"`
	TokenFile   string         `yaml:"token_file"`
	CAFile      string         `yaml:"ca_file"`
	Purpose     string         `yaml:"purpose"`
	Offline     bool           `yaml:"offline"`
	Collections []string       `yaml:"collections"`
	Indicators  []string       `yaml:"indicators"`
	State       string         `yaml:"state"`
	Logs        []string       `yaml:"logs"`
	Blocklist   string         `yaml:"blocklist"`
	Lists       string         `yaml:"lists"`
	Nft         bool           `yaml:"nft"`
	Exports     []exportConfig `yaml:"exports"`
	Allow       []string       `yaml:"allow"`
	AllowFile   string         `yaml:"allow_file"`
	Quiet       bool           `yaml:"quiet"`
	First       time.Duration  `yaml:"first"`
	Summary     time.Duration  `yaml:"summary"`
	Window      time.Duration  `yaml:"window"`
}

// An exportConfig is one export.
type exportConfig struct {
	Format  string        `yaml:"format"`
	File    string        `yaml:"file"`
	Reload  string        `yaml:"reload"`
	Wait    time.Duration `yaml:"reload_timeout"`
	Drop    bool          `yaml:"drop"`
	Sources int           `yaml:"sources"`
}

// mostConfig bounds the file, in bytes.
const mostConfig = 1 << 20

// readConfig takes from the configuration file what no flag says; given reports
// whether one was. Lists of the file and of flags are joined.
func (o *agentFlags) readConfig(given func(flag string) bool) error {
	if o.config == "" {
		return nil
	}
	f, err := os.Open(o.config)
	if err != nil {
		return fileError(o.config, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, mostConfig))
	if err = errors.Join(err, f.Close()); err != nil {
		return fileError(o.config, err)
	}
	var c agentConfig
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return &failure{code: ExitUsage, what: "the configuration cannot be read", where: o.config, err: plain(err), next: "docs/agent.md has all that may stand in it"}
	}
	set := func(name string, into *string, value string) {
		if value != "" && !given(name) {
			*into = value
		}
	}
	set("hub", &o.hub, c.Hub)
	set("token-file", &o.tokenFile, c.TokenFile)
	set("ca-file", &o.caFile, c.CAFile)
	set("purpose", &o.purpose, c.Purpose)
	set("state", &o.options.State, c.State)
	set("blocklist", &o.options.Blocklist, c.Blocklist)
	set("lists", &o.options.Lists, c.Lists)
	set("allow-file", &o.allowFile, c.AllowFile)
	o.offline, o.options.Nft, o.options.Quiet = o.offline || c.Offline, o.options.Nft || c.Nft, o.options.Quiet || c.Quiet
	if c.First > 0 && !given("first") {
		o.options.First = c.First
	}
	if c.Summary > 0 && !given("summary") {
		o.options.Summary = c.Summary
	}
	if c.Window > 0 && !given("window") {
		o.options.Window = c.Window
	}
	o.collections = append(o.collections, c.Collections...)
	o.options.Files = append(o.options.Files, c.Indicators...)
	o.options.Logs = append(o.options.Logs, c.Logs...)
	o.options.Allow = append(o.options.Allow, c.Allow...)
	for _, x := range c.Exports {
		o.options.Exports = append(o.options.Exports, agent.Export{Format: x.Format, File: x.File, Reload: x.Reload, Wait: x.Wait, Drop: x.Drop, Sources: x.Sources})
	}
	return nil
}

// plain is what is wrong with a configuration, without the names of our types.
func plain(err error) error {
	return errors.New(strings.ReplaceAll(err.Error(), " in type cli.agentConfig", ""))
}
