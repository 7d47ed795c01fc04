package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/hubclient"
)

// reviewFlags are what all of the review commands take.
type reviewFlags struct {
	hubFlags

	community string
	reason    string
	text      string
	receipts  string
	ended     bool
}

func (a *app) review() *cobra.Command {
	c := a.parent("review", "Decide on values that a hub's privacy gate masked because it was not sure",
		a.reviewList(), a.reviewShow(), a.reviewDecide("approve"), a.reviewDecide("redact"), a.reviewDecide("reject"))
	c.Long = `What the privacy gate of a hub is not sure of is masked before anybody sees it, and
waits for a curator of the community. A value that is no secret, such as the name of
the attacker's tool, is restored with "approve"; a text that says it without the
person is put there with "redact"; what is personal stays masked with "reject".

What you decide is published as a following version of the object, with a receipt.
Then the hub forgets the value. What nobody decides on in time stays masked. Each
look at a value is on record, with your name.

In a community with two reviewers, two people who want the same decide, and neither
belongs to the organization that submitted the value.`
	c.Example = `  tocsin review list
  tocsin review show ID
  tocsin review approve ID --reason "the actor's handle"
  tocsin review redact ID --text "an employee of the bank"
  tocsin review reject ID ID ID --reason "people"`
	c.GroupID = groupShare
	return c
}

func (o *reviewFlags) add(c *cobra.Command) {
	o.hubFlags.add(c)
	c.Flags().StringVar(&o.community, "community", "", "the community; may be left out when you moderate one only")
}

// complete finds the community where there is only one choice.
func (o *reviewFlags) complete(ctx context.Context, h *hubclient.Client) error {
	if o.community != "" {
		return nil
	}
	who, err := h.Me(ctx)
	if err != nil {
		return fmt.Errorf("me: %w", err)
	}
	var names []string
	for _, c := range who.Communities {
		if c.Role == "curator" || c.Role == "operator" {
			names = append(names, c.Name)
		}
	}
	if len(names) != 1 {
		return usage("name the community with --community", "those that you moderate are: "+orElse(joined(names), "none; reviews are for curators and operators"))
	}
	o.community = names[0]
	return nil
}

func (a *app) reviewList() *cobra.Command {
	var o reviewFlags
	c := &cobra.Command{
		Use: "list", Short: "List what waits, the oldest first; values are not shown", Args: cobra.NoArgs,
		Example: `  tocsin review list
  tocsin review list --ended --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.connect(o.hubFlags)
			if err != nil {
				return err
			}
			if err := o.complete(cmd.Context(), h); err != nil {
				return err
			}
			return a.listReviews(cmd.Context(), h, o)
		},
	}
	o.add(c)
	c.Flags().BoolVar(&o.ended, "ended", false, "list what has ended, with who decided and why")
	return c
}

func (a *app) listReviews(ctx context.Context, h *hubclient.Client, o reviewFlags) error {
	all := []hubclient.Review{}
	for after := int64(0); ; {
		page, err := h.Reviews(ctx, o.community, o.ended, after)
		if err != nil {
			return fmt.Errorf("reviews: %w", err)
		}
		all = append(all, page.Reviews...)
		if !page.More || page.Next <= after {
			break
		}
		after = page.Next
	}
	if a.json {
		return a.writeJSON(map[string]any{"community": o.community, "reviews": all})
	}
	if len(all) == 0 {
		a.say("Nothing waits for review in %s.", safe(o.community))
		return nil
	}
	rows := make([][]string, 0, len(all))
	for _, r := range all {
		opinions := make([]string, 0, len(r.Opinions))
		for _, p := range r.Opinions {
			opinions = append(opinions, p.Organization+"/"+p.User+": "+p.Action)
		}
		rows = append(rows, []string{r.ID, r.State, age(time.Since(r.Made)), r.Class, r.Owner, r.Object + " " + r.At, strings.Join(opinions, ", ")})
	}
	a.table([]string{"ID", "STATE", "AGE", "MAY BE", "FROM", "WHERE", "OPINIONS"}, rows)
	return nil
}

// age says how long something has waited, in its largest unit.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return count(int(d/(24*time.Hour)), "day")
	case d >= 2*time.Hour:
		return count(int(d/time.Hour), "hour")
	}
	return count(max(int(d/time.Minute), 0), "minute")
}

func (a *app) reviewShow() *cobra.Command {
	var o reviewFlags
	c := &cobra.Command{
		Use: "show ID", Short: "Show a masked value and the text around it; that you look is on record", Args: cobra.ExactArgs(1),
		Example: `  tocsin review show 3f0c2f43-6d0c-4c66-9a57-0a2f5ad7d1a1`,
		RunE: func(cmd *cobra.Command, names []string) error {
			h, err := a.connect(o.hubFlags)
			if err != nil {
				return err
			}
			if err := o.complete(cmd.Context(), h); err != nil {
				return err
			}
			r, err := h.Review(cmd.Context(), o.community, names[0])
			if err != nil {
				return fmt.Errorf("review: %w", err)
			}
			if a.json {
				return a.writeJSON(r)
			}
			a.showReview(r)
			return nil
		},
	}
	o.add(c)
	return c
}

func (a *app) showReview(r hubclient.Review) {
	line := func(name, text string) { a.say("  %-12s %s", name, text) }
	a.say("%s is %s", a.out(bold, safe(r.ID)), safe(r.State))
	line("object", safe(r.Object+" "+r.Version))
	line("where", safe(r.At))
	line("from", safe(r.Owner)+", submission "+safe(r.Submission))
	line("may be", safe(r.Class)+", by the rule "+safe(r.Rule))
	line("why", safe(r.Why))
	line("until", r.Expires.UTC().Format("2 January 2006, 15:04 MST")+"; then it stays masked")
	for _, p := range r.Opinions {
		line("opinion", safe(p.Organization+"/"+p.User+": "+p.Action+" "+p.Text+" "+p.Reason))
	}
	if r.Original != "" {
		a.say("  %-12s %s", "published", strings.ReplaceAll(safe(r.Text), safe(r.Placeholder), a.out(green, safe(r.Placeholder))))
		a.say("  %-12s %s", "submitted", a.out(red, safe(r.Original)))
	}
}

func (a *app) reviewDecide(action string) *cobra.Command {
	var o reviewFlags
	about := map[string][2]string{
		"approve": {"Put masked values back, in a following version", `  tocsin review approve 3f0c2f43-6d0c-4c66-9a57-0a2f5ad7d1a1 --reason "the actor's handle"`},
		"redact":  {"Put a text of yours in the place of a masked value", `  tocsin review redact 3f0c2f43-6d0c-4c66-9a57-0a2f5ad7d1a1 --text "an employee"`},
		"reject":  {"Leave values masked, for good", `  tocsin review reject 3f0c2f43-6d0c-4c66-9a57-0a2f5ad7d1a1 --reason "a person's name"`},
	}[action]
	use, arguments := action+" ID…", cobra.MinimumNArgs(1)
	if action == "redact" {
		use, arguments = "redact ID", cobra.ExactArgs(1)
	}
	c := &cobra.Command{
		Use: use, Short: about[0], Example: about[1], Args: arguments,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if action == "redact" && o.text == "" {
				return usage("say with --text what is to stand there", "to leave the placeholder there, reject")
			}
			h, err := a.connect(o.hubFlags)
			if err != nil {
				return err
			}
			if err := o.complete(cmd.Context(), h); err != nil {
				return err
			}
			decisions := make([]hubclient.Decision, len(ids))
			for n, id := range ids {
				decisions[n] = hubclient.Decision{ID: id, Action: action, Text: o.text, Reason: o.reason}
			}
			made, err := h.Decide(cmd.Context(), o.community, decisions)
			if err != nil {
				return fmt.Errorf("decide: %w", err)
			}
			return a.reportDecided(cmd.Context(), h, made, o.receipts)
		},
	}
	o.add(c)
	c.Flags().StringVar(&o.reason, "reason", "", "why, for the record; without the value")
	if action != "reject" {
		c.Flags().StringVar(&o.receipts, "receipts", "./receipts", "folder for receipts")
	}
	if action == "redact" {
		c.Flags().StringVar(&o.text, "text", "", "what is to stand there instead")
	}
	return c
}

// reportDecided says what became of decisions, and saves the receipts of the
// versions that carry them out.
func (a *app) reportDecided(ctx context.Context, h *hubclient.Client, made []hubclient.Review, receipts string) error {
	saved := map[string]string{}
	for _, r := range made {
		if r.Result == nil || saved[r.Result.ID] != "" {
			continue
		}
		if err := os.MkdirAll(receipts, 0o700); err != nil {
			return &failure{code: ExitFault, what: "the folder for receipts cannot be made", where: receipts, err: err}
		}
		name, err := saveReceipt(ctx, h, r.Result.ID, receipts)
		if err != nil {
			return err
		}
		saved[r.Result.ID] = name
	}
	if a.json {
		return a.writeJSON(map[string]any{"reviews": made, "receipts": saved})
	}
	for _, r := range made {
		switch {
		case r.State == "pending":
			a.say("%s %s waits for another person who wants the same", a.out(yellow, "…"), safe(r.ID))
		case r.Result != nil && len(r.Result.Successes) > 0:
			a.say("%s %s is %s: %s has a following version, %s", a.out(green, "✓"), safe(r.ID), safe(r.State), safe(r.Object), safe(r.Result.Successes[0].Version))
		default:
			a.say("%s %s is %s; the placeholder stays", a.out(green, "✓"), safe(r.ID), safe(cmp.Or(r.State, "rejected")))
		}
	}
	for _, name := range saved {
		a.say("  receipt in %s", safe(name))
	}
	return nil
}

// saveReceipt saves the receipt of a submission and returns its file's name.
func saveReceipt(ctx context.Context, h *hubclient.Client, id, folder string) (string, error) {
	if !plainName(id) {
		return "", &failure{code: ExitFault, what: "this does not answer like a hub", next: "check the address"}
	}
	text, err := h.Receipt(ctx, id)
	if err != nil {
		return "", fmt.Errorf("receipt: %w", err)
	}
	name := filepath.Join(folder, id+".tlog-proof")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return "", &failure{code: ExitFault, what: "it is done, but the receipt cannot be saved", where: name, err: err}
	}
	return name, nil
}
