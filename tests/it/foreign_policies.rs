//! Policies of another account with statements of others under our `Sid`s, and near AWS's limits.

use serde_json::{Value, json};

use crate::support::*;

fn key_policy_name() -> String {
    format!("key `{OTHER_ACCOUNT_KEY}`")
}

/// The state after Create, with our statements in both policies.
async fn created() -> State {
    let fake = Fake::new(two_accounts());
    assert_eq!(create(&fake, other_account_properties()).await["Status"], "SUCCESS");
    fake.state.take()
}

fn edit_policy(state: &mut State, name: &str, edit: impl FnOnce(&mut Vec<Value>)) {
    let mut policy: Value = serde_json::from_str(&state.policies[name]).unwrap();
    edit(policy["Statement"].as_array_mut().unwrap());
    state.policies.insert(name.to_owned(), policy.to_string());
}

#[tokio::test(start_paused = true)]
async fn foreign_statement_under_our_sid_is_refused_with_its_name_and_stays_after_delete() {
    let created = created().await;
    let foreign = [
        json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}),
        json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}),
        json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "kms:*", "Resource": "*"}),
        json!({"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject", "Resource": "*"}),
        json!({"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:role/x"}, "Action": "*", "Resource": "*"}),
    ];
    let mut points = 0;
    for name in ["bucket `abroad`".to_owned(), key_policy_name()] {
        let sid = our_statements(&created, &name)[0]["Sid"].clone();
        for theirs in &foreign {
            let theirs = merged(theirs.clone(), json!({"Sid": sid}));
            let mut state = two_accounts();
            edit_policy(&mut state, &name, |statements| statements.push(theirs.clone()));
            let fake = Fake::new(state.clone());
            let answer = create(&fake, other_account_properties()).await;
            let reason = answer["Reason"].as_str().unwrap();
            assert!(reason.contains(sid.as_str().unwrap()) && reason.contains(&name), "{reason}");
            assert_eq!((fake.writes(), &*fake.state.borrow()), (Vec::new(), &state));

            let mut state = created.clone();
            edit_policy(&mut state, &name, |statements| {
                statements.retain(|statement| statement["Sid"] != sid);
                statements.push(theirs.clone());
            });
            let fake = Fake::new(state);
            assert_eq!(delete_with(&fake, other_account_properties()).await["Status"], "SUCCESS");
            assert_eq!(our_statements(&fake.state.borrow(), &name), [theirs]);
            points += 1;
        }
    }
    print_count(points, "foreign statements under our Sid");
}

#[tokio::test(start_paused = true)]
async fn changed_statement_of_our_role_is_repaired() {
    for name in ["bucket `abroad`".to_owned(), key_policy_name()] {
        let created = created().await;
        let mut state = created.clone();
        edit_policy(&mut state, &name, |statements| {
            let ours = statements.last_mut().unwrap();
            ours["Action"] = json!("kms:DescribeKey");
            // As AWS shows a role that was deleted.
            ours["Principal"] = json!({"AWS": "AROAEXAMPLE"});
        });
        let fake = Fake::new(state);
        assert_eq!(create(&fake, other_account_properties()).await["Status"], "SUCCESS");
        assert_eq!(our_statements(&fake.state.borrow(), &name), our_statements(&created, &name));
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_9_earlier_and_new_statement_together_keep_the_limit_or_nothing_is_written() {
    let update = merged(other_account_properties(), json!({"Prefix": "TaxAndMore"}));
    for (name, limit) in [("bucket `abroad`".to_owned(), 20_480), (key_policy_name(), 32_768)] {
        let created = created().await;
        let ours = our_statements(&created, &name)[0].to_string();
        // Both statements, the earlier one with a longer `Sid`, a comma between them, and the longer prefix in the new one.
        let with_both =
            created.policies[&name].len() + ours.len() + "Earlier,".len() + "AndMore".len();
        for (excess, status) in [(0, "SUCCESS"), (1, "FAILED")] {
            let mut state = created.clone();
            let padding = "x".repeat(limit + excess - with_both - "\"Id2\":\"\",".len());
            let padded = state.policies[&name].replacen(
                "\"Version\"",
                &format!("\"Id2\":\"{padding}\",\"Version\""),
                1,
            );
            state.policies.insert(name.clone(), padded);
            let fake = Fake::new(state.clone());
            invoke(&fake, &custom_resource("Update", update.clone())).await.unwrap();
            let answer = only_answer(&fake);
            assert_eq!(answer["Status"], status, "{name}: {answer}");
            if excess > 0 {
                let reason = answer["Reason"].as_str().unwrap();
                let expected = format!("would have {} bytes", limit + 1);
                assert!(reason.contains(&expected), "{reason}");
                assert_eq!((fake.writes(), &*fake.state.borrow()), (Vec::new(), &state));
            }
        }
    }
}

/// The statement that a plan without access to the other account tells people to paste.
fn as_pasted(ours: &Value) -> Value {
    let role = &ours["Principal"]["AWS"];
    let mut condition = ours.get("Condition").cloned().unwrap_or_else(|| json!({}));
    condition["ArnEquals"] = json!({"aws:PrincipalArn": role});
    let principal = json!({"AWS": "arn:aws:iam::111122223333:root"});
    merged(ours.clone(), json!({"Principal": principal, "Condition": condition}))
}

#[tokio::test(start_paused = true)]
async fn pasted_statement_for_a_future_role_is_ours_once_the_other_account_can_be_accessed() {
    for name in ["bucket `abroad`".to_owned(), key_policy_name()] {
        let created = created().await;
        let ours = our_statements(&created, &name);
        let mut pasted = two_accounts();
        let statement = as_pasted(&ours[0]);
        edit_policy(&mut pasted, &name, |statements| statements.push(statement));
        let fake = Fake::new(pasted);
        let answer = create(&fake, other_account_properties()).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        assert_eq!(our_statements(&fake.state.borrow(), &name), ours, "{name}");

        let mut pasted = created.clone();
        edit_policy(&mut pasted, &name, |statements| {
            let ours = statements.last_mut().unwrap();
            *ours = as_pasted(ours);
        });
        let fake = Fake::new(pasted);
        let answer = delete_with(&fake, other_account_properties()).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        assert_eq!(our_statements(&fake.state.borrow(), &name), Vec::<Value>::new(), "{name}");
        assert_eq!(foreign_statements(&fake.state.borrow()), foreign_statements(&created));
    }
}
