package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) audience() *cobra.Command {
	var o sharing
	c := &cobra.Command{
		Use:   "audience FILE…",
		Short: "Say who would see the objects in files, whole or in part, if you shared them",
		Long: `Asks the hub who would see the objects in the files, were they shared: the
organizations that would see each of them whole, those that would be served a copy
without the marked parts or without references to what they may not see, and nobody
else. docs/markings.md says what each marking asks for.

The hub is told which markings the objects have, and what marking-definitions in the
files say. Nothing else leaves. Where the answer follows from clearances, nationality
or agreements, the hub gives numbers and no names, and of few members not even those.`,
		Example: `  tocsin audience report.json
  tocsin audience red.json --to example-cert --json`,
		GroupID: groupShare,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.showAudienceOf(cmd.Context(), names, o)
		},
	}
	o.hubFlags.add(c)
	o.target.add(c)
	f := c.Flags()
	f.StringArrayVar(&o.to, "to", nil, "as if shared with this organization only; may be given more than once")
	f.StringVar(&o.configDir, "config-dir", "", "folder of your configuration, with the privacy gate's secret")
	f.StringVar(&o.rules, "rules", "", "rule file of the privacy gate here")
	return c
}

func (a *app) showAudienceOf(ctx context.Context, names []string, o sharing) error {
	p, err := a.prepare(ctx, names, &o)
	if err != nil {
		return err
	}
	seen, err := audiences(ctx, p.hub, o.target, p.who, p.out.objects)
	if err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(map[string]any{"community": o.community, "collection": o.collection, "audience": notNil(seen)})
	}
	a.say("%s", a.out(bold, "Who would see it, in "+o.community+"/"+o.collection+":"))
	a.showAudience(seen)
	a.showRejected(rejections(p.out.rejected), 5)
	return nil
}
