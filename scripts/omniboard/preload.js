// Loaded before Omniboard: it would listen on all interfaces, without a password, and not outlive its database's absence.
"use strict";

const net = require("net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port === "object") return listen.call(this, { ...port, host: "127.0.0.1" }, ...rest);
  return listen.call(this, port, "127.0.0.1", ...rest.filter((argument) => typeof argument === "function"));
};

// The driver's older pool is destroyed after ten failed attempts to reconnect; the newer one goes on trying.
const mongoose = require("mongoose");
const connect = mongoose.createConnection;
mongoose.createConnection = function (address, options) {
  const { reconnectTries, reconnectInterval, auto_reconnect, bufferMaxEntries, ...known } = options;
  return connect.call(this, address, { ...known, useUnifiedTopology: true, serverSelectionTimeoutMS: 3000 });
};
