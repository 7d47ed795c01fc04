package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"tocsin/internal/hubclient"
	"tocsin/stix"
)

type recallFlags struct {
	hubFlags

	reason    string
	receipts  string
	configDir string
	yes       bool
}

func (a *app) recall() *cobra.Command {
	var o recallFlags
	c := &cobra.Command{
		Use:   "recall ID…",
		Short: "Take back objects that were shared, all versions, everywhere on the hub",
		Long: `Deletes all versions of an object, and of the copies without personal data or without
your name that were made of it here, from every collection of the hub in which your
organization shared them, and what of them waits for its time. Curators recall what
others shared in the communities that they moderate.

The content is erased from the hub; members' tools and agents are told to drop it.
What stays is a record that something was here, which says nothing of its content,
and the receipts: each recall gives one that proves it. What members have copied
elsewhere is theirs to delete.

Exit code 0: it is withdrawn. 1: there is no such object, it is another's, or you said no.`,
		Example: `  tocsin recall indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f
  tocsin recall report--9d4d1a4c-55d9-4a0b-8f0d-1d3d8d7c6c11 --reason "names a customer" --yes`,
		GroupID: groupShare,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			for _, id := range ids {
				if _, _, ok := stix.SplitID(id); !ok {
					return usage("this is no id of an object: "+safe(id), "write it like indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")
				}
			}
			if err := a.confirm(fmt.Sprintf("Recall %s for good?", count(len(ids), "object")), o.yes); err != nil {
				return err
			}
			return a.recallObjects(cmd.Context(), ids, o)
		},
	}
	o.add(c)
	f := c.Flags()
	f.StringVar(&o.reason, "reason", "", "why, for the record; without anything personal")
	f.StringVar(&o.receipts, "receipts", "./receipts", "folder for receipts")
	f.StringVar(&o.configDir, "config-dir", "", "folder of your configuration, with the privacy gate's secret")
	f.BoolVar(&o.yes, "yes", false, "recall without asking")
	return c
}

func (a *app) recallObjects(ctx context.Context, ids []string, o recallFlags) error {
	h, err := a.connect(o.hubFlags)
	if err != nil {
		return err
	}
	g, err := a.gate(o.configDir, "", "")
	if err != nil {
		return err
	}
	asked := slices.Clone(ids)
	for _, id := range ids { // what 'tocsin submit' changed here is known to others under another id
		asked = append(asked, g.CopyOf(id), g.AnonymousOf(id))
	}
	done, err := h.Recall(ctx, asked, o.reason)
	if err != nil {
		return fmt.Errorf("recall: %w", err)
	}
	saved := []string{}
	for _, r := range done {
		if r.Versions == 0 { // nobody has seen it, so there is no record of it
			continue
		}
		name, err := saveWithdrawal(ctx, h, r.Record, o.receipts)
		if err != nil {
			return err
		}
		saved = append(saved, name)
	}
	if a.json {
		return a.writeJSON(map[string]any{"recalled": done, "receipts": saved})
	}
	next := 0
	for _, r := range done {
		if r.Waiting > 0 {
			a.say("%s %s does not appear in %s: %s waited in %s", a.out(green, "✓"), safe(r.ID), safe(r.Community), count(r.Waiting, "version"), safe(r.Collection))
		}
		if r.Versions > 0 {
			a.say("%s %s is withdrawn from %s: %s in %s", a.out(green, "✓"), safe(r.ID), safe(r.Community), count(r.Versions, "version"), safe(r.Collection))
			a.say("  receipt in %s", safe(saved[next]))
			next++
		}
	}
	return nil
}

func saveWithdrawal(ctx context.Context, h *hubclient.Client, record int64, folder string) (string, error) {
	text, err := h.WithdrawalReceipt(ctx, record)
	if err != nil {
		return "", fmt.Errorf("receipt: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", &failure{code: ExitFault, what: "it is withdrawn, but the folder for receipts cannot be made", where: folder, err: err}
	}
	name := filepath.Join(folder, "withdrawal-"+strconv.FormatInt(record, 10)+".tlog-proof")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return "", &failure{code: ExitFault, what: "it is withdrawn, but the receipt cannot be saved", where: name, err: err}
	}
	return name, nil
}
