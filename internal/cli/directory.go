package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/internal/member"
)

// An editor is one of the commands that change the directory a little: the
// same document that apply sends, with one entry.
type editor struct {
	hubFlags
	applyFlags

	yes bool
}

// edit makes a subcommand that sends what document returns.
func (a *app) edit(use, short, example string, arguments int, ask string, document func(names []string) (member.Network, error)) *cobra.Command {
	e := &editor{}
	c := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.ExactArgs(arguments),
		RunE: func(cmd *cobra.Command, names []string) error {
			n, err := document(names)
			if err != nil {
				return err
			}
			h, err := a.connect(e.hubFlags)
			if err != nil {
				return err
			}
			if ask != "" && !e.dryRun {
				if err := a.confirm(strings.ReplaceAll(ask, "NAME", strings.Join(names, " ")), e.yes); err != nil {
					return err
				}
			}
			e.all = true
			return a.applyNetwork(cmd.Context(), h, n, e.applyFlags)
		},
	}
	e.hubFlags.add(c)
	e.applyFlags.add(c)
	if ask != "" {
		c.Flags().BoolVar(&e.yes, "yes", false, "do not ask")
	}
	return c
}

// list makes a subcommand that shows a part of the directory.
func (a *app) list(short, example string, header []string, rows func(n member.Network) [][]string) *cobra.Command {
	var h hubFlags
	c := &cobra.Command{
		Use: "list", Short: short, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hub, err := a.connect(h)
			if err != nil {
				return err
			}
			n, err := describe(cmd.Context(), hub)
			if err != nil {
				return err
			}
			found := rows(n)
			if a.json {
				return a.writeJSON(asObjects(header, found))
			}
			if len(found) == 0 {
				a.note("There is nothing that this token may know of.")
				return nil
			}
			a.table(header, found)
			return nil
		},
	}
	h.add(c)
	return c
}

// asObjects turns a table into what programs read.
func asObjects(header []string, rows [][]string) []map[string]string {
	list := make([]map[string]string, 0, len(rows))
	for _, row := range rows {
		o := map[string]string{}
		for i, cell := range row {
			o[strings.ToLower(header[i])] = cell
		}
		list = append(list, o)
	}
	return list
}

func (a *app) parent(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, GroupID: groupRun, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help() // writes to standard output, which has no use for its error
			return usage("say what to do", "tocsin "+use+" --help")
		},
	}
	for _, child := range children {
		c.Example += strings.TrimRight(child.Example, "\n") + "\n"
	}
	c.Example = strings.TrimRight(c.Example, "\n")
	c.AddCommand(children...)
	return c
}

func (a *app) organization() *cobra.Command {
	var entry member.OrganizationEntry
	add := a.edit("add NAME", "Admit an organization to the hub", "  tocsin org add bank-a --kind company --title 'Bank A'", 1, "",
		func(names []string) (member.Network, error) {
			entry.Name = names[0]
			return member.Network{Organizations: []member.OrganizationEntry{entry}}, nil
		})
	add.Flags().StringVar(&entry.Kind, "kind", "", "company, government, nonprofit or other; government reads state a purpose")
	choices(add, "kind", "company", "government", "nonprofit", "other")
	add.Flags().StringVar(&entry.Title, "title", "", "its name for people")
	remove := a.edit("remove NAME", "Remove an organization, its users, tokens and memberships, for good", "  tocsin org remove bank-a", 1,
		"Remove NAME and everything that belongs to it? The name cannot be used again.",
		func(names []string) (member.Network, error) {
			return member.Network{Organizations: []member.OrganizationEntry{{Name: names[0], Absent: true}}}, nil
		})
	list := a.list("List organizations", "  tocsin org list", []string{"NAME", "KIND", "TITLE", "USERS", "IDENTITY"}, func(n member.Network) (rows [][]string) {
		for _, o := range n.Organizations {
			rows = append(rows, []string{o.Name, o.Kind, o.Title, grouped(len(o.Users)), o.Identity})
		}
		return rows
	})
	return a.parent("org", "Keep the organizations of a hub", list, add, remove)
}

func (a *app) user() *cobra.Command {
	entry := func(names []string, absent bool) (member.Network, error) {
		at, err := path(names[0], "ORGANIZATION/USER", 2)
		if err != nil {
			return member.Network{}, err
		}
		return inOrganization(at[0], member.UserEntry{Name: at[1], Absent: absent}), nil
	}
	add := a.edit("add ORGANIZATION/USER", "Add a person or a machine that acts for an organization", "  tocsin user add bank-a/soc", 1, "",
		func(names []string) (member.Network, error) { return entry(names, false) })
	remove := a.edit("remove ORGANIZATION/USER", "Remove a user and its tokens", "  tocsin user remove bank-a/soc", 1,
		"Remove NAME and all of its tokens?", func(names []string) (member.Network, error) { return entry(names, true) })
	list := a.list("List users", "  tocsin user list", []string{"ORGANIZATION", "USER", "TOKENS"}, func(n member.Network) (rows [][]string) {
		for _, o := range n.Organizations {
			for _, u := range o.Users {
				rows = append(rows, []string{o.Name, u.Name, grouped(len(u.Tokens))})
			}
		}
		return rows
	})
	return a.parent("user", "Keep the users of organizations", list, add, remove)
}

func (a *app) token() *cobra.Command {
	var entry member.TokenEntry
	one := func(names []string, t member.TokenEntry) (member.Network, error) {
		at, err := path(names[0], "ORGANIZATION/USER/TOKEN", 3)
		if err != nil {
			return member.Network{}, err
		}
		t.Name = at[2]
		if t.Expires, err = when(t.Expires); err != nil {
			return member.Network{}, err
		}
		return inOrganization(at[0], member.UserEntry{Name: at[1], Tokens: []member.TokenEntry{t}}), nil
	}
	add := a.edit("add ORGANIZATION/USER/TOKEN", "Make a token; its secret is shown once",
		"  tocsin token add bank-a/soc/siem --role reader --expires 90d --tokens .\n  tocsin token add agency/cert/desk --purpose 'network defense'", 1, "",
		func(names []string) (member.Network, error) { return one(names, entry) })
	add.Flags().StringVar(&entry.Role, "role", "", "at most this role anywhere: reader, writer, curator or operator")
	choices(add, "role", "reader", "writer", "curator", "operator")
	add.Flags().StringVar(&entry.Purpose, "purpose", "", "every read with this token is for this purpose, on record")
	add.Flags().StringVar(&entry.Expires, "expires", "", "last day, such as 2027-12-31, or days from now, such as 90d")
	add.Flags().BoolVar(&entry.Operator, "operator", false, "it may administer the hub itself")
	remove := a.edit("remove ORGANIZATION/USER/TOKEN", "End a token at once, by its name", "  tocsin token remove bank-a/soc/siem", 1, "",
		func(names []string) (member.Network, error) { return one(names, member.TokenEntry{Absent: true}) })
	list := a.list("List tokens, without their secrets", "  tocsin token list",
		[]string{"TOKEN", "ID", "ROLE", "PURPOSE", "EXPIRES", "OPERATOR"}, func(n member.Network) (rows [][]string) {
			for _, o := range n.Organizations {
				for _, u := range o.Users {
					for _, t := range u.Tokens {
						operator := ""
						if t.Operator {
							operator = "yes"
						}
						rows = append(rows, []string{o.Name + "/" + u.Name + "/" + t.Name, t.ID, t.Role, t.Purpose, t.Expires, operator})
					}
				}
			}
			return rows
		})
	return a.parent("token", "Keep the tokens by which the hub knows its users", list, add, remove, a.revoke())
}

// revoke ends a token by its id, which is what logs name and what somebody who
// found a leaked one can read in it.
func (a *app) revoke() *cobra.Command {
	var h hubFlags
	c := &cobra.Command{
		Use: "revoke ID", Short: "End a token at once, by its public id: the 8 characters after tcs_",
		Example: "  tocsin token revoke k3f6q2ab", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if !plainName(names[0]) {
				return usage("this is no id of a token", "it is the 8 characters after tcs_; never type the rest")
			}
			hub, err := a.connect(h)
			if err != nil {
				return err
			}
			if err := hub.RevokeToken(cmd.Context(), names[0]); err != nil {
				return fmt.Errorf("revoke: %w", err)
			}
			if a.json {
				return a.writeJSON(map[string]string{"revoked": names[0]})
			}
			a.say("Token %s has ended. Streams that it opened are closed.", names[0])
			return nil
		},
	}
	h.add(c)
	return c
}

func (a *app) community() *cobra.Command {
	var entry member.CommunityEntry
	add := a.edit("add NAME", "Found a community; its name becomes its TAXII API root", "  tocsin community add finance --title 'Finance sector' --tlp amber", 1, "",
		func(names []string) (member.Network, error) {
			entry.Name = names[0]
			return member.Network{Communities: []member.CommunityEntry{entry}}, nil
		})
	add.Flags().StringVar(&entry.Title, "title", "", "its name for people")
	add.Flags().StringVar(&entry.Description, "description", "", "what it is for")
	add.Flags().StringVar(&entry.Default, "tlp", "", "what objects without a marking are taken for (amber)")
	choices(add, "tlp", "clear", "green", "amber", "amber+strict", "red")
	remove := a.edit("remove NAME", "Close a community, with its memberships and collections, for good", "  tocsin community remove finance", 1,
		"Close NAME for all of its members? The name cannot be used again.",
		func(names []string) (member.Network, error) {
			return member.Network{Communities: []member.CommunityEntry{{Name: names[0], Absent: true}}}, nil
		})
	var role, probation string
	admit := a.edit("admit COMMUNITY ORGANIZATION", "Admit an organization to a community, or change its role",
		"  tocsin community admit finance bank-a --role writer", 2, "",
		func(names []string) (member.Network, error) {
			until, err := when(probation)
			return inCommunity(names[0], member.MemberEntry{Organization: names[1], Role: role, Probation: until}), err
		})
	admit.Flags().StringVar(&probation, "probation", "", "the last day on which it only reads, such as 2027-12-31, days from now, such as 90d, or none")
	admit.Flags().StringVar(&role, "role", "reader", "reader, writer, curator or operator")
	choices(admit, "role", "reader", "writer", "curator", "operator")
	expel := a.edit("expel COMMUNITY ORGANIZATION", "End an organization's part in a community", "  tocsin community expel finance bank-a", 2,
		"End this membership: NAME?", func(names []string) (member.Network, error) {
			return inCommunity(names[0], member.MemberEntry{Organization: names[1], Absent: true}), nil
		})
	return a.parent("community", "Find, join and leave communities; keep those of a hub and their members",
		a.communityList(), a.communityShow(), a.communityMembers(), a.communityApply(), a.communityAccept(), a.communityApplications(), a.communitySponsor(),
		a.communityDecide(), a.communityLeave(), add, remove, admit, expel, a.communitySuspend(), a.communityReinstate(), a.communityRules())
}

func (a *app) collection() *cobra.Command {
	var entry member.CollectionEntry
	one := func(names []string, e member.CollectionEntry) (member.Network, error) {
		at, err := path(names[0], "COMMUNITY/ALIAS", 2)
		if err != nil {
			return member.Network{}, err
		}
		e.Alias = at[1]
		return member.Network{Communities: []member.CommunityEntry{{Name: at[0], Collections: []member.CollectionEntry{e}}}}, nil
	}
	add := a.edit("add COMMUNITY/ALIAS", "Add a TAXII collection to a community", "  tocsin collection add finance/indicators --title Indicators", 1, "",
		func(names []string) (member.Network, error) { return one(names, entry) })
	add.Flags().StringVar(&entry.Title, "title", "", "its name for people")
	add.Flags().StringVar(&entry.Description, "description", "", "what belongs there")
	remove := a.edit("remove COMMUNITY/ALIAS", "Close a collection; what is in it cannot be reached any more", "  tocsin collection remove finance/indicators", 1,
		"Close NAME? What is in it cannot be reached any more.", func(names []string) (member.Network, error) {
			return one(names, member.CollectionEntry{Absent: true})
		})
	list := a.list("List collections", "  tocsin collection list", []string{"COMMUNITY", "ALIAS", "TITLE", "ID"}, func(n member.Network) (rows [][]string) {
		for _, c := range n.Communities {
			for _, l := range c.Collections {
				rows = append(rows, []string{c.Name, l.Alias, l.Title, l.ID})
			}
		}
		return rows
	})
	return a.parent("collection", "Keep the collections of communities", list, add, remove)
}

// choices lets the shell complete a flag.
func choices(c *cobra.Command, flag string, values ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // fails for a flag that is not there only
}

// path takes a name like bank-a/soc apart.
func path(text, form string, parts int) ([]string, error) {
	at := strings.Split(text, "/")
	if len(at) != parts {
		return nil, usage("this name does not have its parts: "+text, "write it as "+form)
	}
	return at, nil
}

// plainName reports whether text can stand in a URL as it is.
func plainName(text string) bool {
	for _, r := range text {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return text != "" && len(text) <= 63
}

func inOrganization(name string, u member.UserEntry) member.Network {
	return member.Network{Organizations: []member.OrganizationEntry{{Name: name, Users: []member.UserEntry{u}}}}
}

func inCommunity(name string, m member.MemberEntry) member.Network {
	return member.Network{Communities: []member.CommunityEntry{{Name: name, Members: []member.MemberEntry{m}}}}
}
