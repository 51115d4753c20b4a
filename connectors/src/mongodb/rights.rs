//! What our user may do, from what `connectionStatus` says of it.
//!
//! Pure but for the one question. A server without access control names no user and lets everything through. Some servers name roles
//! and leave the privileges out: the roles that every server has are known here, and of others nothing is held against the user.

use super::classify::classify;
use crate::failure::Failure;
use bson::{Document, doc};
use mongodb::Database;

/// The user and what it may do.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rights {
    /// `name@database`; `None`: nobody logged in.
    pub user: Option<String>,
    privileges: Vec<Document>,
    /// Role and its database.
    roles: Vec<(String, String)>,
}

/// Roles that may read one database, and those that may read all.
const READERS: [&str; 3] = ["read", "readWrite", "dbOwner"];
const READERS_OF_ALL: [&str; 4] = ["readAnyDatabase", "readWriteAnyDatabase", "root", "__system"];
/// What readers may do.
const READING: [&str; 4] = ["find", "changeStream", "listCollections", "collStats"];

impl Rights {
    /// Asks the server.
    pub async fn of(database: &Database) -> Result<Self, Failure> {
        let status = database.run_command(doc! { "connectionStatus": 1, "showPrivileges": true }).await;
        Ok(Self::read(&status.map_err(|error| classify(&error, "asking for our privileges"))?))
    }

    fn read(status: &Document) -> Self {
        let info = status.get_document("authInfo").cloned().unwrap_or_default();
        let first = info.get_array("authenticatedUsers").ok().and_then(|users| users.first()?.as_document().cloned());
        let user = first.map(|user| {
            let part = |name| user.get_str(name).unwrap_or("?").to_owned();
            format!("{}@{}", part("user"), part("db"))
        });
        let documents = |name| -> Vec<Document> {
            let listed = info.get_array(name).into_iter().flatten();
            listed.filter_map(|entry| entry.as_document().cloned()).collect()
        };
        let part = |role: &Document, name| role.get_str(name).unwrap_or_default().to_owned();
        let roles = documents("authenticatedUserRoles");
        Self {
            user,
            privileges: documents("authenticatedUserPrivileges"),
            roles: roles.iter().map(|role| (part(role, "role"), part(role, "db"))).collect(),
        }
    }

    /// Whether `action` is allowed on a collection; on all of a database with an empty collection.
    pub fn allow(&self, action: &str, database: &str, collection: &str) -> bool {
        if self.privileges.is_empty() && !self.roles.is_empty() {
            return self.roles.iter().any(|role| includes(role, action, database));
        }
        self.user.is_none() || self.privileges.iter().any(|privilege| grants(privilege, action, (database, collection)))
    }
}

/// Whether a role allows it, as far as its name says.
fn includes((role, db): &(String, String), action: &str, database: &str) -> bool {
    let role = role.as_str();
    if READERS_OF_ALL.contains(&role) {
        return database != "local" || role != "readAnyDatabase";
    }
    if READERS.contains(&role) {
        return db == database && READING.contains(&action);
    }
    // A role of the operator's own, of which this server says no more.
    database != "local"
}

fn grants(privilege: &Document, action: &str, (database, collection): (&str, &str)) -> bool {
    let acts = privilege.get_array("actions").into_iter().flatten();
    if !acts.filter_map(|act| act.as_str()).any(|act| act == action || act == "anyAction") {
        return false;
    }
    let Ok(resource) = privilege.get_document("resource") else { return false };
    if resource.get_bool("anyResource").unwrap_or(false) {
        return true;
    }
    let (Ok(db), Ok(coll)) = (resource.get_str("db"), resource.get_str("collection")) else { return false };
    (db.is_empty() || db == database) && (coll.is_empty() || coll == collection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(resource: Document, actions: &[&str]) -> Rights {
        Rights::read(&doc! {"authInfo": {
            "authenticatedUsers": [{"user": "lf", "db": "admin"}],
            "authenticatedUserPrivileges": [{"resource": resource, "actions": actions}],
        }})
    }

    #[test]
    fn a_privilege_reaches_as_far_as_its_resource() {
        let narrow = rights(doc! {"db": "app", "collection": "users"}, &["find"]);
        assert_eq!(narrow.user.as_deref(), Some("lf@admin"));
        assert!(narrow.allow("find", "app", "users"));
        for (action, db, collection) in
            [("find", "app", ""), ("find", "app", "x"), ("find", "b", "users"), ("insert", "app", "users")]
        {
            assert!(!narrow.allow(action, db, collection), "{action} {db}.{collection}");
        }
        let wide = rights(doc! {"db": "app", "collection": ""}, &["find", "changeStream"]);
        assert!(wide.allow("changeStream", "app", "") && wide.allow("find", "app", "x"));
        assert!(!wide.allow("find", "local", "oplog.rs"));
        assert!(rights(doc! {"db": "", "collection": ""}, &["find"]).allow("find", "app", ""));
        assert!(rights(doc! {"anyResource": true}, &["anyAction"]).allow("find", "local", "oplog.rs"));
        assert!(!rights(doc! {"cluster": true}, &["find"]).allow("find", "app", ""));
    }

    #[test]
    fn roles_speak_where_privileges_are_not_told() {
        let of = |role: &str, db: &str| {
            Rights::read(&doc! {"authInfo": {
                "authenticatedUsers": [{"user": "lf", "db": "admin"}],
                "authenticatedUserRoles": [{"role": role, "db": db}],
            }})
        };
        assert!(of("read", "app").allow("find", "app", "users") && of("read", "app").allow("changeStream", "app", ""));
        assert!(!of("read", "app").allow("find", "other", "users"));
        assert!(!of("read", "app").allow("find", "local", "oplog.rs"));
        assert!(of("readAnyDatabase", "admin").allow("find", "app", ""));
        assert!(of("root", "admin").allow("find", "local", "oplog.rs"));
    }

    #[test]
    fn without_access_control_everything_is_allowed() {
        let nobody = Rights::read(&doc! {"authInfo": {"authenticatedUsers": [], "authenticatedUserPrivileges": []}});
        assert_eq!(nobody.user, None);
        assert!(nobody.allow("find", "app", ""));
    }
}
