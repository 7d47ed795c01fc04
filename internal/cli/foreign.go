package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tocsin"
	"tocsin/internal/outbound"
	"tocsin/internal/taxii/client"
)

// foreignFlags name a TAXII server that is no hub of ours, and who reads there.
// Secrets are never flags: other users of the machine can read those.
type foreignFlags struct {
	taxii        string
	root         string
	user         string
	passwordFile string
	pageSize     int
}

func (o *foreignFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.taxii, "taxii", "", "read this TAXII 2.1 or 2.0 server instead of a hub")
	f.StringVar(&o.root, "api-root", "", "its API root, when discovery does not tell")
	f.StringVar(&o.user, "user", "", "your user there (TOCSIN_TAXII_USER)")
	f.StringVar(&o.passwordFile, "password-file", "", "file that holds your password or API key there (TOCSIN_TAXII_PASSWORD holds it itself)")
	f.IntVar(&o.pageSize, "page-size", 0, "how many objects to ask for at once; the server decides without it")
}

// foreign finds the collection on another server.
func (a *app) foreign(ctx context.Context, o *pullFlags) (reading, error) {
	base, err := url.Parse(o.taxii)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, &failure{code: ExitUsage, what: "this is no address of a TAXII server", where: o.taxii, next: "write it like https://taxii.example.com/taxii2/"}
	}
	if base.User != nil {
		return nil, usage("a password in the address can be read by others on this machine", "use --user and --password-file")
	}
	if o.pageSize < 0 {
		return nil, usage("the page size is out of range", "give a number greater than 0")
	}
	who, err := a.foreignCredentials(o)
	if err != nil {
		return nil, err
	}
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		return nil, &failure{code: ExitUsage, what: "a password is not sent over a connection that others can read", where: o.taxii, next: "use https"}
	}
	door, err := outbound.New(outbound.Options{Only: base, CAFile: o.caFile, Timeout: callTime})
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	c, err := client.New(client.Options{URL: o.taxii, HTTP: door, Credentials: who, Purpose: o.purpose})
	if err != nil {
		return nil, fmt.Errorf("taxii: %w", err)
	}
	a.hub = o.taxii
	root, collection, err := findCollection(ctx, c, o)
	if err != nil {
		return nil, err
	}
	return func(q client.Query) iter.Seq2[client.Page, error] { return c.Objects(ctx, root, collection, q) }, nil
}

// foreignCredentials are the user and password of the flags or the environment,
// or a Bearer token when --token-file was given. What is for the hub is not
// looked at: it is nobody else's business.
func (a *app) foreignCredentials(o *pullFlags) (client.Credentials, error) {
	if o.tokenFile != "" {
		token, err := a.findToken(o.tokenFile)
		return client.Credentials{Token: token}, err
	}
	who := client.Credentials{User: orElse(o.user, a.Getenv("TOCSIN_TAXII_USER")), Password: a.Getenv("TOCSIN_TAXII_PASSWORD")}
	if o.passwordFile != "" {
		text, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return who, fileError(o.passwordFile, err)
		}
		who.Password = strings.TrimRight(string(text), "\r\n")
	}
	return who, nil
}

// findCollection looks for the collection in the API roots that discovery
// names, the default one first. An address that is no discovery is an API root
// itself.
func findCollection(ctx context.Context, c *client.Client, o *pullFlags) (root, id string, err error) {
	roots := []string{o.root}
	if o.root == "" {
		d, err := c.Discover(ctx)
		if e, ok := errors.AsType[*tocsin.Error](err); ok && (e.Kind == tocsin.NotFound || e.Kind == tocsin.Invalid) {
			err = nil // perhaps the address of an API root was given
		}
		if err != nil {
			return "", "", fmt.Errorf("discovery: %w", err)
		}
		roots = d.APIRoots
		if d.Default != "" {
			roots = append([]string{d.Default}, slices.DeleteFunc(slices.Clone(roots), func(r string) bool { return r == d.Default })...)
		}
		if len(roots) == 0 {
			roots = []string{o.taxii}
		}
	}
	var there []string
	var failed error
	for _, root := range roots {
		list, err := c.Collections(ctx, root)
		if err != nil {
			failed = errors.Join(failed, err) // another root may be open to this reader
			continue
		}
		list = slices.DeleteFunc(list, func(c client.Collection) bool { return !c.CanRead })
		if o.collection == "" && len(list) == 1 && len(roots) == 1 {
			return root, list[0].ID, nil
		}
		for _, found := range list {
			if o.collection != "" && (found.ID == o.collection || found.Alias == o.collection || strings.EqualFold(found.Title, o.collection)) {
				return root, found.ID, nil
			}
			there = append(there, fmt.Sprintf("%q (%s)", found.Title, found.ID))
		}
	}
	if len(there) == 0 {
		if failed != nil {
			return "", "", fmt.Errorf("collections: %w", failed)
		}
		return "", "", &failure{code: ExitNo, what: "you may read no collection there", where: o.taxii, next: "check the user and the password"}
	}
	what := "there is no such collection"
	if o.collection == "" {
		what = "which collection?"
	}
	return "", "", &failure{code: ExitUsage, what: what, where: o.taxii, next: "name one with --collection: " + strings.Join(there, ", ")}
}
