package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/hubclient"
)

func (a *app) confirmation() *cobra.Command {
	var h hubFlags
	var o applyFlags
	var reject, yes bool
	c := &cobra.Command{
		Use:   "confirm ID",
		Short: "Confirm, as the second person, a change that widens who sees something",
		Long: `What lets somebody see more than before, such as a new member, a lower default
marking or another operator, is proposed by one person and takes effect when
another operator confirms it. "tocsin apply" says what waits; "tocsin apply
--pending" lists it. A proposal that nobody confirms ends after 14 days.`,
		Example: `  tocsin apply --pending
  tocsin confirm 3f0c2f43
  tocsin confirm 3f0c2f43 --reject`,
		GroupID: groupRun, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if !plainName(names[0]) {
				return usage("this is no id of a proposal", "see tocsin apply --pending")
			}
			hub, err := a.connect(h)
			if err != nil {
				return err
			}
			return a.settle(cmd.Context(), hub, names[0], reject, yes, o)
		},
	}
	h.add(c)
	c.Flags().StringVar(&o.tokens, "tokens", "", "folder to write new tokens to, one file each, instead of showing them")
	c.Flags().BoolVar(&reject, "reject", false, "reject it instead; who proposed it may, too")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) settle(ctx context.Context, h *hubclient.Client, id string, reject, yes bool, o applyFlags) error {
	waiting, err := h.Proposals(ctx)
	if err != nil {
		return fmt.Errorf("proposals: %w", err)
	}
	i := slices.IndexFunc(waiting, func(p hubclient.Proposal) bool { return p.ID == id })
	if i >= 0 && !a.json {
		a.showProposal(waiting[i])
	}
	if i >= 0 && !reject && !waiting[i].Yours { // else the hub says why not
		if err := a.confirm("Confirm this?", yes); err != nil {
			return err
		}
	}
	applied, err := h.Settle(ctx, id, !reject)
	if err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	return a.reportApplied(applied, o)
}

func (a *app) showProposal(p hubclient.Proposal) {
	a.say("%s, proposed by %s/%s %s ago, waits until %s", a.out(bold, safe(p.ID)), safe(p.Organization), safe(p.User),
		age(time.Since(p.Made)), p.Expires.UTC().Format("2 January 2006, 15:04 MST"))
	for _, c := range p.Changes {
		a.say("  %s", safe(strings.TrimSpace(c.Kind+" "+c.Name+": "+c.Detail)))
	}
}

// pending lists what waits for a second person.
func (a *app) pending(ctx context.Context, h *hubclient.Client) error {
	waiting, err := h.Proposals(ctx)
	if err != nil {
		return fmt.Errorf("proposals: %w", err)
	}
	if a.json {
		return a.writeJSON(map[string]any{"proposals": notNil(waiting)})
	}
	if len(waiting) == 0 {
		a.note("Nothing waits for a second person.")
	}
	for _, p := range waiting {
		a.showProposal(p)
		if p.Yours {
			a.say("  you proposed it: another operator confirms it with  tocsin confirm %s", safe(p.ID))
		} else {
			a.say("  tocsin confirm %s", safe(p.ID))
		}
	}
	return nil
}
