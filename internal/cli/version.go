package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the program's version",
		Example: "  tocsin version\n  tocsin version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := a.build()
			if a.json {
				return a.writeJSON(v)
			}
			a.say("tocsin %s (%s, %s)", v.Version, v.Go, v.Platform)
			return nil
		},
	}
}

type built struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // the source's, when the build knew it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) build() built {
	b := built{Version: a.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Revision = s.Value
			}
		}
		if b.Version == "" {
			b.Version = info.Main.Version
		}
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "development"
	}
	return b
}
