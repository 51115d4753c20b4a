// Run by mongosh: a replica set of one member, a user that may read `shop` and the log's window, a few documents.
// Repeating it changes nothing.
const secret = (name) => require("fs").readFileSync(`/run/secrets/${name}`, "utf8").trim();
const uri = `mongodb://admin:${encodeURIComponent(secret("mongo_admin_password"))}@mongo:27017/?authSource=admin&directConnection=true`;
const admin = connect(uri).getSiblingDB("admin");

try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongo:27017" }] });
}
for (let tries = 60; !db.hello().isWritablePrimary; tries--) {
  if (tries === 0) throw new Error("no primary after a minute");
  sleep(1000);
}

if (!admin.getRole("oplogWindow")) {
  const privileges = [{ resource: { db: "local", collection: "oplog.rs" }, actions: ["find"] }];
  admin.createRole({ role: "oplogWindow", privileges, roles: [] });
}
if (!admin.getUser("landfall")) {
  const roles = [{ role: "read", db: "shop" }, { role: "oplogWindow", db: "admin" }];
  admin.createUser({ user: "landfall", pwd: secret("mongo_password"), roles });
}

const shop = admin.getSiblingDB("shop");
if (shop.users.estimatedDocumentCount() === 0) {
  shop.users.insertMany([{ name: "Ada", email: "Ada@example.org " }, { name: "Bo", email: "bo@example.org", note: "stays in the rest" }]);
  shop.orders.insertOne({ user: "Ada", lines: [{ sku: "tea", qty: 3 }] });
}
