package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tocsin/internal/member"
	"tocsin/internal/minimize"
)

// communityRules shows and changes by which rules the privacy gate of a
// community works.
func (a *app) communityRules() *cobra.Command {
	e := &editor{}
	var set string
	var reset bool
	c := &cobra.Command{
		Use:   "rules COMMUNITY",
		Short: "Show or change the rules by which the hub's privacy gate works in a community",
		Long: `Writes the rule file that is in force, to members of the community; its hash, which is
in every receipt, goes to standard error. With --set a hub operator gives the community a
rule file of its own; it is checked here and at the hub, and an error in it is refused with
its line. Members' previews show from then on what it does.`,
		Example: `  tocsin community rules finance > finance.yaml
  tocsin community rules finance --set finance.yaml
  tocsin community rules finance --default`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if set != "" && reset {
				return usage("--set and --default exclude each other", "choose one")
			}
			h, err := a.connect(e.hubFlags)
			if err != nil {
				return err
			}
			if set == "" && !reset {
				r, err := h.Rules(cmd.Context(), names[0])
				if err != nil {
					return fmt.Errorf("rules: %w", err)
				}
				if a.json {
					return a.writeJSON(r)
				}
				a.note("%s", r.Hash)
				_, err = a.Stdout.Write([]byte(r.Text))
				return err //nolint:wrapcheck // nothing to add
			}
			var text []byte
			if set != "" {
				if text, err = os.ReadFile(set); err != nil {
					return fileError(set, err)
				}
				if err := minimize.CheckRules(text); err != nil {
					return &failure{code: ExitUsage, what: err.Error(), where: set, next: "'tocsin minimize --print-rules' writes the file that comes with the program"}
				}
			}
			rules := string(text)
			e.all = true
			n := member.Network{Communities: []member.CommunityEntry{{Name: names[0], Rules: &rules}}}
			return a.applyNetwork(cmd.Context(), h, n, e.applyFlags)
		},
	}
	e.hubFlags.add(c)
	e.applyFlags.add(c)
	c.Flags().StringVar(&set, "set", "", "rule file to use from now on")
	c.Flags().BoolVar(&reset, "default", false, "use the rules that come with the program again")
	return c
}
