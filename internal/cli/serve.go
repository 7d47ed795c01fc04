package cli

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tocsin/internal/hub"
	"tocsin/internal/marking"
)

func (a *app) serve() *cobra.Command {
	var o hub.Options
	var tokenFile, logFormat, logLevel, ceiling string
	var pages int64
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a hub",
		Long: `Runs a hub that keeps everything in one folder. The first start makes its keys and
a token for its operator, which is shown once.

With --db, or the environment variable TOCSIN_DB, the hub lives in a PostgreSQL
database that any number of replicas share, and the folder holds only hub.key,
which all replicas need: start one, then copy its hub.key to the others. Use the
variable when the address has a password: command lines can be read by others.

On an address that other machines can reach, TLS is required: --tls-cert and
--tls-key, or a proxy in front of a loopback address. SIGINT and SIGTERM end it in
order: requests are finished, streams closed, what is pending written.`,
		Example: `  tocsin serve
  tocsin serve --data /var/lib/tocsin --listen :8443 --tls-cert hub.pem --tls-key hub.key
  tocsin serve --url https://hub.example.org      behind a proxy that speaks TLS`,
		GroupID: groupRun,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger(logFormat, logLevel)
			if err != nil {
				return err
			}
			o.Log = log
			if o.Ceiling, err = ceilingOf(ceiling); err != nil {
				return err
			}
			if o.Pages = pages << 20; pages <= 0 {
				o.Pages = -1
			}
			if o.DB == "" {
				o.DB = a.Getenv("TOCSIN_DB")
			}
			var trouble error
			where := o.Data
			if o.DB != "" {
				where = "the database, with its key in " + filepath.Join(o.Data, hub.KeyFile)
			}
			o.Ready = func(s hub.Started) { trouble = a.welcome(s, where, tokenFile) }
			if err := hub.Run(cmd.Context(), o); err != nil {
				return fmt.Errorf("hub: %w", err)
			}
			return trouble
		},
	}
	f := c.Flags()
	f.StringVar(&o.Data, "data", "./tocsin-data", "folder for everything that the hub keeps")
	f.StringVar(&o.DB, "db", "", "PostgreSQL database to live in, postgres://… (or TOCSIN_DB)")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8080", "address to listen on")
	f.StringVar(&o.TLSCert, "tls-cert", "", "PEM file with the certificate chain")
	f.StringVar(&o.TLSKey, "tls-key", "", "PEM file with its private key")
	f.StringVar(&o.URL, "url", "", "how others reach the hub, when that is not the address")
	f.IntVar(&o.MaxPage, "max-page", 0, "the most objects in a page (1,000)")
	f.IntVar(&o.Streams, "max-streams", 0, "the most event streams open at the same time (10,000)")
	f.IntVar(&o.StreamsPerToken, "max-streams-per-token", 0, "of those, the most of one token (5,000)")
	f.Int64Var(&pages, "page-memory", 48, "memory for pages that are cut once for all who may see the same, in MiB; 0: none")
	f.StringVar(&ceiling, "ceiling", "U", "the highest classification that the hub may hold: U, C, S or TS; what is marked higher is refused")
	f.StringVar(&tokenFile, "operator-token-file", "", "file to write the first operator token to, instead of showing it")
	f.StringVar(&logFormat, "log-format", "text", "text or json, on standard error")
	f.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	return c
}

// ceilingOf reads how far a hub is accredited.
func ceilingOf(text string) (marking.Level, error) {
	l, ok := marking.ParseLevel(text)
	if !ok {
		return l, usage("this is no classification: "+text, "use U, C, S or TS")
	}
	return l, nil
}

// logger returns a logger to standard error.
func (a *app) logger(format, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, usage("this is no level of logging: "+level, "use debug, info, warn or error")
	}
	options := &slog.HandlerOptions{Level: least}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(a.Stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.Stderr, options)), nil
	}
	return nil, usage("this is no format of logs: "+format, "use text or json")
}

// welcome says that the hub answers, and what to do next.
func (a *app) welcome(s hub.Started, data, tokenFile string) error {
	if s.OperatorToken != "" && tokenFile != "" {
		if err := os.WriteFile(tokenFile, []byte(s.OperatorToken+"\n"), 0o600); err != nil {
			a.say("The operator's token, shown only now: %s", s.OperatorToken)
			return &failure{code: ExitFault, what: "the token cannot be written", where: tokenFile, err: err}
		}
	}
	if a.json {
		started := map[string]string{"url": s.URL, "address": s.Addr.String(), "verifier_key": s.VerifierKey}
		if s.OperatorToken != "" && tokenFile == "" {
			started["operator_token"] = s.OperatorToken
		}
		return json.NewEncoder(a.Stdout).Encode(started) //nolint:wrapcheck // a line for programs; there is nobody else to tell
	}
	a.say("Tocsin is running at %s", a.out(bold, s.URL))
	a.say("  keeps everything in  %s", safe(data))
	a.say("  receipts verify with %s", s.VerifierKey)
	if s.OperatorToken == "" {
		return nil
	}
	a.say("\nThis is its first start.")
	if tokenFile != "" {
		a.say("The operator's token is in %s; keep it secret.", safe(tokenFile))
	} else {
		tokenFile = "operator.token"
		a.say("The operator's token, shown only now:\n\n    %s\n", a.out(bold, s.OperatorToken))
		a.say("Keep it in a file that only you can read: (umask 077; cat > %s)", tokenFile)
	}
	a.say("\nNext, in another terminal:\n")
	where := ""
	if s.URL != defaultHub {
		where = " --hub " + s.URL
	}
	a.say("  tocsin apply --example > network.yaml        (then put your members into it)")
	a.say("  tocsin apply -f network.yaml --tokens ./tokens --token-file %s%s", safe(tokenFile), where)
	return nil
}
