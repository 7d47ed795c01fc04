package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/hubclient"
	"tocsin/internal/member"
)

// join makes a subcommand about one community, or one organization in it.
func (a *app) join(use, short, example string, arguments int, run func(ctx context.Context, h *hubclient.Client, names []string) error) *cobra.Command {
	var h hubFlags
	c := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.ExactArgs(arguments),
		RunE: func(cmd *cobra.Command, names []string) error {
			for _, name := range names {
				if !plainName(name) {
					return usage("this is no name: "+name, "names are of a-z, 0-9 and hyphen")
				}
			}
			hub, err := a.connect(h)
			if err != nil {
				return err
			}
			return run(cmd.Context(), hub, names)
		},
	}
	h.add(c)
	return c
}

func (a *app) communityList() *cobra.Command {
	c := a.join("list", "List communities: yours, those that you may join and, where you may know them, the members", "  tocsin community list", 0,
		func(ctx context.Context, h *hubclient.Client, _ []string) error {
			n, err := describe(ctx, h)
			if err != nil {
				return err
			}
			public, err := h.Communities(ctx)
			if err != nil {
				return fmt.Errorf("communities: %w", err)
			}
			var rows [][]string
			known := map[string]bool{}
			for _, c := range n.Communities {
				known[c.Name] = true
				rows = append(rows, []string{c.Name, c.Title, "TLP:" + strings.ToUpper(c.Default), "", ""})
				for _, m := range c.Members {
					rows = append(rows, []string{c.Name, "", "", m.Organization, strings.TrimSpace(m.Role + " " + m.Status)})
				}
			}
			for _, l := range public {
				if !known[l.Name] {
					rows = append(rows, []string{l.Name, l.Title, "", "", "may apply"})
				}
			}
			header := []string{"COMMUNITY", "TITLE", "UNMARKED", "MEMBER", "ROLE"}
			if a.json {
				return a.writeJSON(asObjects(header, rows))
			}
			if len(rows) == 0 {
				a.note("There is nothing that this token may know of.")
				return nil
			}
			a.table(header, rows)
			return nil
		})
	return c
}

func (a *app) communityShow() *cobra.Command {
	return a.join("show COMMUNITY", "Show what a community says of itself, and its agreement", "  tocsin community show finance", 1,
		func(ctx context.Context, h *hubclient.Client, names []string) error {
			l, err := h.Community(ctx, names[0])
			if err != nil {
				return fmt.Errorf("community: %w", err)
			}
			if a.json {
				return a.writeJSON(l)
			}
			a.showListing(l)
			return nil
		})
}

func (a *app) showListing(l hubclient.Listing) {
	line := func(name, text string) {
		if text != "" {
			a.say("  %-14s %s", name, text)
		}
	}
	a.say("%s, %s", a.out(bold, safe(l.Name)), safe(l.Title))
	line("about", safe(l.Description))
	state := l.State
	if l.State == "ended" {
		state = "ended: it is read, and accepts nothing more"
	}
	line("state", safe(state))
	if l.Role != "" {
		role := l.Role
		if time.Now().Before(l.Probation) {
			role += ", on probation until " + l.Probation.UTC().Format("2 January 2006")
		}
		line("your role", safe(role))
	}
	if c := l.Charter; c != nil {
		line("formed by", safe(strings.Trim(c.Basis+": "+c.Scope, ": ")))
		line("ends", safe(c.Ends))
		line("closes", safe(c.Closes))
		line("members see", map[string]string{"nobody": "not each other's names"}[c.MemberList])
		if c.Probation > 0 {
			line("probation", count(c.Probation, "day"))
		}
		for _, one := range c.Capabilities {
			line(safe(one.Name), safe(one.Statement))
		}
	}
	if l.Agreement != nil && l.Charter != nil && l.Charter.Agreement != nil {
		line("agreement", safe("version "+l.Agreement.Version+", sha256 "+l.Agreement.SHA256))
		switch l.Accepted {
		case l.Agreement.SHA256:
			line("", "your organization has accepted it")
		case "":
		default:
			line("", "your organization has accepted another version: tocsin community accept "+safe(l.Name))
		}
		a.say("")
		for line := range strings.SplitSeq(strings.TrimSpace(l.Charter.Agreement.Text), "\n") {
			a.say("  %s", safe(line))
		}
	}
}

func (a *app) communityMembers() *cobra.Command {
	return a.join("members COMMUNITY", "List the members of a community, where they may know each other", "  tocsin community members finance", 1,
		func(ctx context.Context, h *hubclient.Client, names []string) error {
			members, err := h.Roster(ctx, names[0])
			if err != nil {
				return fmt.Errorf("members: %w", err)
			}
			if a.json {
				return a.writeJSON(map[string]any{"members": notNil(members)})
			}
			var rows [][]string
			for _, m := range members {
				probation, agreement := "", m.Agreement
				if time.Now().Before(m.Probation) {
					probation = m.Probation.UTC().Format(time.DateOnly)
				}
				rows = append(rows, []string{m.Organization, m.Title, m.Role, probation, strings.TrimSpace(m.Status + " " + m.Reason), agreement[:min(len(agreement), 12)]})
			}
			a.table([]string{"ORGANIZATION", "TITLE", "ROLE", "PROBATION", "STATUS", "ACCEPTED"}, rows)
			return nil
		})
}

// accepted finds out which agreement is accepted: the one that was named by its
// hash, or the one of now after it was shown and accepted at the terminal.
func (a *app) accepted(ctx context.Context, h *hubclient.Client, community, sum string) (string, error) {
	if sum != "" {
		return sum, nil
	}
	l, err := h.Community(ctx, community)
	if err != nil {
		return "", fmt.Errorf("community: %w", err)
	}
	if l.Agreement == nil || l.Charter == nil || l.Charter.Agreement == nil {
		return "", nil
	}
	for line := range strings.SplitSeq(strings.TrimSpace(l.Charter.Agreement.Text), "\n") {
		a.note("  %s", safe(line))
	}
	if !a.StdinTerminal {
		return "", usage("nobody is there to accept the agreement", "read it with tocsin community show "+community+", and accept that text with --accept SHA256")
	}
	return l.Agreement.SHA256, a.confirm("Does your organization accept this agreement?", false)
}

func (a *app) communityApply() *cobra.Command {
	var statement, accept string
	c := a.join("apply COMMUNITY", "Apply to a community for your organization, and accept its agreement",
		"  tocsin community apply finance --statement 'We run payments in Ohio; ask Bank A and Bank B.'", 1,
		func(ctx context.Context, h *hubclient.Client, names []string) error {
			if statement == "" {
				return usage("say with --statement who you are and why you want to join", "two members have to vouch for you; name them")
			}
			sum, err := a.accepted(ctx, h, names[0], accept)
			if err != nil {
				return err
			}
			made, err := h.RequestMembership(ctx, names[0], statement, sum)
			if err != nil {
				return fmt.Errorf("apply: %w", err)
			}
			if a.json {
				return a.writeJSON(made)
			}
			a.say("%s %s has applied to %s.", a.out(green, "✓"), safe(made.Organization), safe(made.Community))
			a.say("\nTwo members of different organizations have to vouch for you. Call each, and tell each\none of these codes. They are shown only now, and each is good for one sponsor:\n")
			for _, code := range made.Codes {
				a.say("  %s", a.out(bold, safe(code)))
			}
			a.say("\nThe sponsor enters it:  tocsin community sponsor %s %s --code CODE", safe(made.Community), safe(made.Organization))
			return nil
		})
	c.Flags().StringVar(&statement, "statement", "", "who you are, and why you want to join")
	c.Flags().StringVar(&accept, "accept", "", "SHA-256 of the agreement that your organization accepts; without it you are shown it and asked")
	return c
}

func (a *app) communityAccept() *cobra.Command {
	var accept string
	c := a.join("accept COMMUNITY", "Accept a community's agreement as it is now, for your organization", "  tocsin community accept finance", 1,
		func(ctx context.Context, h *hubclient.Client, names []string) error {
			sum, err := a.accepted(ctx, h, names[0], accept)
			if err != nil {
				return err
			}
			if !plainName(sum) && len(sum) != 64 {
				return usage("this community has no agreement, or this is no SHA-256 of one", "see tocsin community show "+names[0])
			}
			if err := h.Accept(ctx, names[0], sum); err != nil {
				return fmt.Errorf("accept: %w", err)
			}
			if a.json {
				return a.writeJSON(map[string]string{"accepted": sum})
			}
			a.say("%s Your organization has accepted the agreement sha256:%s.", a.out(green, "✓"), safe(sum))
			return nil
		})
	c.Flags().StringVar(&accept, "accept", "", "SHA-256 of the agreement; without it you are shown it and asked")
	return c
}

func (a *app) communityApplications() *cobra.Command {
	return a.join("applications COMMUNITY", "List applications: those that you decide on, or your own", "  tocsin community applications finance", 1,
		func(ctx context.Context, h *hubclient.Client, names []string) error {
			found, err := h.Applications(ctx, names[0])
			if err != nil {
				return fmt.Errorf("applications: %w", err)
			}
			if a.json {
				return a.writeJSON(map[string]any{"applications": notNil(found)})
			}
			if len(found) == 0 {
				a.note("There are no applications.")
			}
			for _, p := range found {
				a.showApplication(p)
			}
			return nil
		})
}

func (a *app) showApplication(p hubclient.Application) {
	a.say("%s to %s is %s, since %s", a.out(bold, safe(p.Organization)), safe(p.Community), safe(p.State), p.Made.UTC().Format("2 January 2006"))
	line := func(name, text string) {
		if text != "" {
			a.say("  %-12s %s", name, safe(text))
		}
	}
	line("statement", p.Statement)
	line("accepted", p.Agreement)
	if p.State == member.StateOpen {
		line("vouched", fmt.Sprintf("%d of %d sponsors", p.Vouched, member.Sponsors))
	}
	for _, s := range p.Sponsors {
		line("sponsor", s.Organization+"/"+s.User)
	}
	line("reason", p.Reason)
}

func (a *app) communitySponsor() *cobra.Command {
	var code string
	c := a.join("sponsor COMMUNITY ORGANIZATION", "Vouch for an organization that applies, with the code that it told you",
		"  tocsin community sponsor finance bank-c --code k3f6-q2ab", 2,
		func(ctx context.Context, h *hubclient.Client, names []string) error {
			if code == "" {
				return usage("the code is missing", "the applicant tells it to you, by telephone or in person: call them, at a number that you knew before")
			}
			p, err := h.Vouch(ctx, names[0], names[1], code)
			if err != nil {
				return fmt.Errorf("vouch: %w", err)
			}
			if a.json {
				return a.writeJSON(p)
			}
			a.say("%s You have vouched for %s, on record. It has %d of %d sponsors.", a.out(green, "✓"), safe(p.Organization), p.Vouched, member.Sponsors)
			a.showApplication(p)
			return nil
		})
	c.Flags().StringVar(&code, "code", "", "the code that the applicant told you outside of the hub")
	return c
}

func (a *app) communityDecide() *cobra.Command {
	var what hubclient.Admission
	var admit, refuse bool
	days := -1
	c := a.join("decide COMMUNITY ORGANIZATION", "Admit or refuse an organization that applies",
		"  tocsin community decide finance bank-c --admit --role writer --reason 'known to both sponsors'\n  tocsin community decide finance shell-co --refuse --reason 'no sponsor knows them'", 2,
		func(ctx context.Context, h *hubclient.Client, names []string) error {
			if admit == refuse {
				return usage("say --admit or --refuse", "")
			}
			if what.Action = member.Refuse; admit {
				what.Action = member.Admit
			}
			if days >= 0 {
				what.Probation = &days
			}
			p, err := h.Admit(ctx, names[0], names[1], what)
			if err != nil {
				return fmt.Errorf("decide: %w", err)
			}
			if a.json {
				return a.writeJSON(p)
			}
			a.say("%s %s is %s.", a.out(green, "✓"), safe(p.Organization), safe(p.State))
			return nil
		})
	c.Flags().BoolVar(&admit, "admit", false, "admit it; two sponsors have to have vouched")
	c.Flags().BoolVar(&refuse, "refuse", false, "refuse it; it reads the reason, and nothing else")
	c.Flags().StringVar(&what.Reason, "reason", "", "why, for the record")
	c.Flags().StringVar(&what.Role, "role", "", "of who is admitted: reader or writer (reader)")
	c.Flags().IntVar(&days, "probation-days", -1, "for so long it only reads (what the charter says)")
	choices(c, "role", "reader", "writer")
	return c
}

func (a *app) communityLeave() *cobra.Command {
	var yes bool
	c := a.join("leave COMMUNITY", "End your organization's part in a community, or withdraw its application", "  tocsin community leave finance", 1,
		func(ctx context.Context, h *hubclient.Client, names []string) error {
			if err := a.confirm("Leave "+names[0]+"? What your organization shared stays there; recall it before, if it should not.", yes); err != nil {
				return err
			}
			if err := h.Leave(ctx, names[0]); err != nil {
				return fmt.Errorf("leave: %w", err)
			}
			if a.json {
				return a.writeJSON(map[string]string{"left": names[0]})
			}
			a.say("%s Your organization has no part in %s any more.", a.out(green, "✓"), safe(names[0]))
			return nil
		})
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) communitySuspend() *cobra.Command {
	var reason string
	c := a.edit("suspend COMMUNITY ORGANIZATION", "Suspend a member: it finds nothing of the community until it is reinstated",
		"  tocsin community suspend finance bank-a --reason 'its tokens leaked'", 2, "",
		func(names []string) (member.Network, error) {
			if reason == "" {
				return member.Network{}, usage("say with --reason why", "it is kept on record")
			}
			return inCommunity(names[0], member.MemberEntry{Organization: names[1], Status: member.Suspended, Reason: reason}), nil
		})
	c.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return c
}

func (a *app) communityReinstate() *cobra.Command {
	return a.edit("reinstate COMMUNITY ORGANIZATION", "End a suspension", "  tocsin community reinstate finance bank-a", 2, "",
		func(names []string) (member.Network, error) {
			return inCommunity(names[0], member.MemberEntry{Organization: names[1], Status: member.Active}), nil
		})
}
