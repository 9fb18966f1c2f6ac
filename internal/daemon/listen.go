package daemon

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/exporter-toolkit/web"
)

// listen opens the listener of the daemon.
func (a *App) listen(ctx context.Context) (net.Listener, error) {
	if err := a.mayListen(); err != nil {
		return nil, &ExitError{Code: ExitConfig, Err: err}
	}
	listen := a.Network.Listen
	if listen == nil {
		listen = new(net.ListenConfig).Listen
	}
	listener, err := listen(ctx, "tcp", a.Config.HTTP.Listen)
	if err != nil {
		return nil, fmt.Errorf("http.listen: %w", err)
	}
	return listener, nil
}

// mayListen refuses a listener that others can reach and nothing protects, unless the operator says so, and a web configuration that
// cannot be used. That file is read again on each connection, so that a renewed certificate needs no restart.
func (a *App) mayListen() error {
	address, file := a.Config.HTTP.Listen, a.Config.WebConfigFile()
	protected, err := protects(file)
	switch {
	case err != nil:
		return fmt.Errorf("http.web_config_file: %s cannot be used: %w", file, err)
	case protected || a.Config.HTTP.Plain || !a.Config.HTTP.Exposed():
		return nil
	case file == "":
		return fmt.Errorf("http.listen: others can reach %s: set http.web_config_file with TLS or authentication, or listen on 127.0.0.1; "+
			"http.plain allows it where something else keeps them out", address)
	}
	return fmt.Errorf("http.listen: others can reach %s, and %s (http.web_config_file) has neither TLS nor authentication: give it "+
		"tls_server_config or basic_auth_users, or listen on 127.0.0.1", address, file)
}

// protects says whether a web configuration has TLS or asks for passwords; "" is none. Its format is that of Prometheus's own programs.
func protects(file string) (bool, error) {
	if file == "" {
		return false, nil
	}
	if err := web.Validate(file); err != nil {
		return false, err
	}
	content, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return false, err
	}
	var c struct {
		TLS   map[string]any    `yaml:"tls_server_config"`
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if err := yaml.Unmarshal(content, &c); err != nil {
		return false, err
	}
	certificate := c.TLS["cert"] != nil || c.TLS["cert_file"] != nil // a key alone would not have been valid
	return certificate || len(c.Users) > 0, nil
}
