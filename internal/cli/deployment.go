package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/hubclient"
	"tocsin/stix"
)

func (a *app) deployment() *cobra.Command {
	var o hubFlags
	c := &cobra.Command{
		Use:   "deployment COMMUNITY/COLLECTION ID",
		Short: "See how far an object came that you shared, and who may still have it",
		Long: `Says at how many organizations an object was fetched, is in force (blocked, or looked
for in logs) and was seen, and how long that took; and, after it was revoked,
withdrawn or has expired, how many have let it go and how many may have it still.

It counts organizations whose agents confirm what they do ('tocsin agent'). Others use
what you share as well, and are not counted. Only the organization that shared an
object sees this, and those who moderate the community; they see also who has not let
it go.`,
		Example: `  tocsin deployment finance/indicators indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f
  tocsin deployment finance/indicators indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --json | jq .holding`,
		GroupID: groupShare,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := path(args[0], "COMMUNITY/COLLECTION", 2)
			if err != nil {
				return err
			}
			if _, _, ok := stix.SplitID(args[1]); !ok {
				return usage("this is no id of an object: "+safe(args[1]), "write it like indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")
			}
			return a.showDeployment(cmd.Context(), o, at[0], at[1], args[1])
		},
	}
	o.add(c)
	return c
}

func (a *app) showDeployment(ctx context.Context, o hubFlags, community, collection, id string) error {
	h, err := a.connect(o)
	if err != nil {
		return err
	}
	d, err := h.Deployment(ctx, community, collection, id)
	if err != nil {
		return fmt.Errorf("deployment: %w", err)
	}
	if a.json {
		return a.writeJSON(d)
	}
	shared := "withdrawn"
	if d.Shared != "" {
		shared = safe(d.Shared)
	}
	a.say("shared    %s, to %s with agents that confirm", shared, organizations(d.Followers))
	for _, s := range []struct {
		name string
		hubclient.Stage
	}{{"fetched", d.Fetched}, {"deployed", d.Deployed}, {"hit", d.Hit}} {
		a.say("%-9s %s", s.name, stageText(s.Stage))
	}
	if d.Why == "" {
		return nil
	}
	a.say("%-9s %s", safe(d.Why), safe(d.Ended))
	a.say("retired   %s", stageText(d.Retired))
	if d.Holding == 0 {
		a.say("%s", a.out(green, "nobody who had it has it still"))
		return nil
	}
	a.say("%s", a.out(yellow, organizations(d.Holding)+" may have it still"))
	var rows [][]string
	for _, holder := range d.Holders {
		rows = append(rows, []string{holder.Organization, grouped(holder.Agents), holder.Seen})
	}
	if len(rows) > 0 {
		a.table([]string{"ORGANIZATION", "AGENTS", "LAST HEARD OF"}, rows)
	}
	return nil
}

func organizations(n int) string { return count(n, "organization") }

func stageText(s hubclient.Stage) string {
	text := organizations(s.Organizations)
	if s.Organizations == 0 || s.P99 == 0 {
		return text
	}
	took := func(ms float64) string {
		d := time.Duration(ms * float64(time.Millisecond))
		switch {
		case d > time.Minute:
			return d.Round(time.Second).String()
		case d > time.Second:
			return d.Round(10 * time.Millisecond).String()
		}
		return d.Round(time.Millisecond).String()
	}
	if s.Organizations == 1 {
		return text + ", after " + took(s.P50)
	}
	return text + ", half within " + took(s.P50) + ", 99 of 100 within " + took(s.P99)
}
